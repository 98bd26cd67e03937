"""Meals: what somebody ate, with its tags and places."""

from __future__ import annotations

from pyramid.config import Configurator
from sqlalchemy import exists, select, update

from mealshare.core.doctor.counters import check_of, repair_of
from mealshare.core.errors import Conflict
from mealshare.core.i18n import _
from mealshare.core.work import Work
from mealshare.features.accounts.resources import Users
from mealshare.features.accounts.schemas import USERNAME_PARAM
from mealshare.features.meals import drafts
from mealshare.features.meals.doctor import COUNTERS
from mealshare.features.meals.html import add_card_action, add_card_note, add_meal_gate, add_meal_head, add_meal_panel
from mealshare.features.meals.models import Post
from mealshare.features.meals.present import MealJson
from mealshare.features.meals.resources import Meals, PostsOfPerson, add_post_kind
from mealshare.features.meals.rules import RULES
from mealshare.features.meals.schemas import MEAL_PARAM
from mealshare.features.meals.web_settings import past_meals
from mealshare.features.media.events import MediaDescribed, MediaProcessed, MediaRemoved
from mealshare.features.media.models import Media

MESSAGES = {
    "food_or_photo": _("Say what you ate, or add a photo."),
    "eaten_at_range": _("This is too far away: nobody eats that early, or the day after tomorrow."),
    "half_a_coordinate": _("Latitude and longitude belong together."),
    "bad_country": _("This is not a country code of two letters, such as FR."),
    "allergen_in_both": _("An allergen cannot be both contained and absent."),
    "tag_empty": _("A tag needs at least one letter."),
    "tag_too_long": _("A tag may have at most 50 characters."),
    "tag_characters": _("A tag consists of letters, digits and underscores."),
    "tag_letter": _("A tag needs at least one letter."),
    "edited_elsewhere": _(
        "This meal was changed in the meantime. Save again to replace that change with what stands here."
    ),
}


def _pictures_changed(work: Work, event: MediaProcessed | MediaDescribed | MediaRemoved) -> None:
    """A picture of a meal is not what it was: cards of the old version must not be used any more."""
    if event.post_id is not None:
        work.session.execute(update(Post).where(Post.id == event.post_id).values(version=Post.version + 1))


def _keep_something(work: Work, event: MediaRemoved) -> None:
    """The only picture of a meal without words must stay: the meal would be about nothing."""
    left = exists().where(Media.post_id == Post.id)
    empty = select(Post.id).where(Post.id == event.post_id, Post.food == "", ~left)
    if work.session.execute(empty).first() is not None:
        raise Conflict("last_picture")


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.add_rules(RULES)
    config.add_check("meal counts", check_of(*COUNTERS), repair_of(*COUNTERS))
    config.add_messages(MESSAGES)
    directives = {
        "card_actions": add_card_action,
        "card_notes": add_card_note,
        "meal_panels": add_meal_panel,
        "meal_heads": add_meal_head,
        "meal_gates": add_meal_gate,
        "post_kinds": add_post_kind,
    }
    for name, directive in directives.items():
        config.registry[name] = []
        config.add_directive(directive.__name__, directive, action_wrap=False)
    config.registry["meal_json"] = MealJson(config.registry)
    config.add_api_tags({"meals": "Post, read, change and delete meals; lists of them, and a draw for the undecided."})
    config.add_problems({"last_picture": (409, _("This is all that the meal consists of. Delete the meal instead."))})
    for event in (MediaProcessed, MediaDescribed, MediaRemoved):
        config.subscribe(event, _pictures_changed)
    config.subscribe(MediaRemoved, _keep_something)
    config.add_sign_in_hook(drafts.publish)

    config.add_route("meal.new", "/new")
    config.add_route("meal.edit", "/@{username}/{id}/edit", factory=PostsOfPerson, traverse="/{username}/{id}")
    config.add_route("meal.delete", "/@{username}/{id}/delete", factory=PostsOfPerson, traverse="/{username}/{id}")
    config.add_route("meal.uri", "/users/{username}/posts/{id}", factory=PostsOfPerson, traverse="/{username}/{id}")
    config.add_route("meal", "/@{username}/{id:[0-9]+}", factory=PostsOfPerson, traverse="/{username}/{id}")
    config.add_api_route("api.meals", "/api/meals")
    config.add_api_route("api.meals.today", "/api/meals/today")
    config.add_api_route("api.meals.visibility", "/api/meals/visibility")
    config.add_api_route("api.meal", "/api/meals/{id:[0-9]+}", params=MEAL_PARAM, factory=Meals, traverse="/{id}")
    for page in ("/@{username}/{id}", "/users/{username}/posts/{id}"):
        config.add_api_twin(page, "/api/meals/{id}")
    person = {"params": {"username": USERNAME_PARAM}, "factory": Users, "traverse": "/{username}"}
    config.add_api_route("api.user.meals", "/api/users/{username}/meals", **person)
    config.add_api_route("api.tags", "/api/tags")
    config.add_route("settings.privacy.meals", "/settings/privacy/meals")
    config.add_slot("settings.privacy", "mealshare.features.meals:templates/privacy.pt", past_meals)
    config.scan(".web")
    config.scan(".web_settings")
    config.scan(".api")
