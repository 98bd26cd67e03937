"""The diary: what one ate, by the day on which it was eaten."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from mealshare.core.i18n import _
from mealshare.features.accounts.schemas import USERNAME_PARAM
from mealshare.features.diary.resources import Diaries
from mealshare.features.diary.rules import RULES

MESSAGES = {
    "span_backwards": _("The last day comes before the first one."),
    "span_too_long": _("At most ${max} days can be asked for at once."),
    "span_too_full": _("There are more than ${max} meals on these days. Ask for fewer days at once."),
}
#: Each page, and how its address leads from the person to the part of the diary.
PAGES = {
    "diary": ("", "/{username}"),
    "diary.csv": (".csv", "/{username}"),
    "diary.this_week": ("/week", "/{username}"),
    "diary.week": ("/week/{week}", "/{username}/week/{week}"),
    "diary.year": ("/{year}", "/{username}/{year}"),
    "diary.month": ("/{year}/{month}", "/{username}/{year}/{month}"),
    "diary.day": ("/{year}/{month}/{day}", "/{username}/{year}/{month}/{day}"),
}


def _link(request: Request) -> dict[str, Any] | None:
    """From a person's page to their diary."""
    username = getattr(request.context, "username", None)
    return None if username is None else {"path": f"/@{username}/diary"}


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.add_rules(RULES)
    config.add_api_tags({"diary": "What a person ate, day by day, by the date on their own wall."})
    config.add_messages(MESSAGES)
    for name, (pattern, traverse) in PAGES.items():
        config.add_route(name, f"/@{{username}}/diary{pattern}", factory=Diaries, traverse=traverse)
    person = {"factory": Diaries, "traverse": "/{username}", "params": {"username": USERNAME_PARAM}}
    config.add_api_route("api.user.diary", "/api/users/{username}/diary", **person)
    config.add_api_route("api.user.calendar", "/api/users/{username}/calendar", **person)
    config.add_slot("person.actions", "mealshare.features.diary:templates/link.pt", _link)
    config.scan(".web")
    config.scan(".api")
