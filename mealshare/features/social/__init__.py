"""Following, blocking and muting people."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from pyramid.config import Configurator

from mealshare.core.doctor.counters import check_of, repair_of
from mealshare.core.i18n import _
from mealshare.core.jobs import Priority
from mealshare.features.accounts.resources import Users
from mealshare.features.accounts.schemas import USERNAME_PARAM
from mealshare.features.social.doctor import COUNTERS
from mealshare.features.social.html import person_actions, person_facts, settings_links, waiting_link
from mealshare.features.social.jobs import sweep
from mealshare.features.social.queries import WAITING
from mealshare.features.social.resources import FollowersOfPerson, UsersToBlock
from mealshare.features.social.rules import RULES

MESSAGES = {
    "mute_end_range": _("A mute can end within the next 366 days; without an end it lasts until you take it back."),
    "one_mute_end": _("Give either the moment or the duration."),
}
PROBLEMS = {"oneself": (409, _("You cannot follow, block or mute yourself."))}
USERNAME = {"username": USERNAME_PARAM}


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.add_rules(RULES)
    config.add_check("follower counts", check_of(*COUNTERS), repair_of(*COUNTERS))
    config.add_messages(MESSAGES)
    config.add_problems(PROBLEMS)
    config.add_identity_column("follow_requests", WAITING)
    config.add_job("social.sweep_mutes", sweep, every=timedelta(hours=1), priority=Priority.LOW)
    _add_pages(config)
    _add_slots(config)
    _add_operations(config)
    for module in ("api", "web", "web_settings"):
        config.scan(f"{__name__}.{module}")


def _add_pages(config: Configurator) -> None:
    for name in ("follow", "mute", "remove_follower", "followers", "following"):
        pattern = f"/@{{username}}/{name.replace('_', '-')}"
        config.add_route(f"person.{name}", pattern, factory=Users, traverse="/{username}")
    config.add_route("person.block", "/@{username}/block", factory=UsersToBlock, traverse="/{username}")
    config.add_route("follow_requests", "/follow-requests")
    config.add_route("follow_request", "/follow-requests/{username}", factory=Users, traverse="/{username}")
    for name in ("privacy", "blocks", "mutes"):
        config.add_route(f"settings.{name}", f"/settings/{name}")


def _add_slots(config: Configurator) -> None:
    templates = f"{__name__}:templates"
    config.add_slot("person.actions", f"{templates}/actions.pt", person_actions)
    config.add_slot("person.facts", f"{templates}/facts.pt", person_facts)
    config.add_slot("layout.menu", f"{templates}/menu.pt", waiting_link, order=10)
    config.add_slot("settings.nav", f"{templates}/links.pt", settings_links, order=10)


def _add_operations(config: Configurator) -> None:
    person = {"params": USERNAME, "traverse": "/{username}"}
    for name in ("follow", "mute", "followers", "following"):
        config.add_api_route(f"api.user.{name}", f"/api/users/{{username}}/{name}", factory=Users, **person)
    config.add_api_route("api.user.block", "/api/users/{username}/block", factory=UsersToBlock, **person)
    config.add_api_route(
        "api.user.follower",
        "/api/users/{username}/followers/{follower}",
        params=USERNAME
        | {"follower": replace(USERNAME_PARAM, description="The follower's username.", example="tom_b")},
        factory=FollowersOfPerson,
        traverse="/{username}/{follower}",
    )
    config.add_api_route("api.follow_requests", "/api/follow-requests")
    config.add_api_route("api.follow_request", "/api/follow-requests/{username}", factory=Users, **person)
    config.add_api_route("api.blocks", "/api/blocks")
    config.add_api_route("api.mutes", "/api/mutes")
