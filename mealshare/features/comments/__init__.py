"""Comments on meals."""

from __future__ import annotations

from pyramid.config import Configurator

from mealshare.api import id_param
from mealshare.core.doctor.counters import check_of, repair_of
from mealshare.core.i18n import _
from mealshare.features.comments.doctor import COUNTERS
from mealshare.features.comments.html import comments_action, comments_panel
from mealshare.features.comments.resources import Comments
from mealshare.features.comments.rules import RULES
from mealshare.features.comments.service import forget_comments
from mealshare.features.meals.events import MealDeleted
from mealshare.features.meals.resources import Meals, MealsOfPerson
from mealshare.features.meals.schemas import MEAL_PARAM

MESSAGES = {
    "no_such_comment": _("There is no such comment on this meal."),
    "comment_edited_elsewhere": _(
        "This comment was changed in the meantime. Save again to replace that change with what stands here."
    ),
}


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.add_rules(RULES)
    config.add_check("comment counts", check_of(*COUNTERS), repair_of(*COUNTERS))
    config.add_messages(MESSAGES)
    config.add_api_tags({"comments": "What people say to a meal, with one level of replies; and likes of that."})
    config.add_problems({"comments_closed": (409, _("The author of this meal wants no more comments."))})
    config.subscribe(MealDeleted, forget_comments)
    config.add_card_action(comments_action)
    config.add_meal_panel(comments_panel, order=50)
    # Looking at, editing and deleting one comment: at the addresses that meals have, for both are posts of a person.
    config.add_post_kind(Comments)
    meal = {"factory": MealsOfPerson, "traverse": "/{username}/{id}"}
    config.add_route("meal.comments", "/@{username}/{id}/comments", **meal)
    config.add_route("meal.comments.close", "/@{username}/{id}/comments/close", **meal)
    config.add_route("comment.like", "/comments/{id}/like", factory=Comments, traverse="/{id}")
    config.add_api_route(
        "api.meal.comments", "/api/meals/{id}/comments", params=MEAL_PARAM, factory=Meals, traverse="/{id}"
    )
    comment = {"params": {"id": id_param("The id of the comment.", "117653444226111422")}, "factory": Comments}
    config.add_api_route("api.comment", "/api/comments/{id}", traverse="/{id}", **comment)
    for page in ("/@{username}/{id}", "/users/{username}/posts/{id}"):
        # Its address looks as that of a meal does; what stands beside it, or above, tells them apart.
        config.add_api_twin(page, "/api/comments/{id}", lambda owner, name: "meal_id" in owner or name == "comment")
    config.add_api_route("api.comment.like", "/api/comments/{id}/like", traverse="/{id}", **comment)
    config.scan(".web")
    config.scan(".api")
