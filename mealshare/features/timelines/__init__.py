"""Timelines: the front page, the home feed, the meals of a person, of a tag, of a place."""

from __future__ import annotations

from pyramid.config import Configurator

from mealshare.api import PathParam
from mealshare.core.jobs import Priority
from mealshare.features.accounts.resources import Users
from mealshare.features.meals.events import MealDeleted, MealPublished, VisibilityChanged
from mealshare.features.social.events import Blocked, Followed, Unfollowed
from mealshare.features.timelines import jobs, service
from mealshare.features.timelines.resources import Places, Tags
from mealshare.features.timelines.rules import RULES
from mealshare.features.timelines.settings import TimelineSettings

# A place may have a slash in its name, at which traversal would cut; so the name is looked up as the route found it.
AT_PLACE = {"factory": Places, "traverse": "/place"}


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.declare_settings(TimelineSettings, prefix="timelines")
    config.add_rules(RULES)
    config.add_api_tags(
        {"feeds": "Meals as they come in: of everybody, of those whom you follow, of a tag, of a place."}
    )
    _keep_home_feeds(config)
    config.add_route("front", "/")
    config.add_route("home", "/home")
    config.add_route("person", "/@{username}", factory=Users, traverse="/{username}")
    config.add_route("tag", "/tags/{tag}", factory=Tags, traverse="/{tag}")
    config.add_route("place", "/places/{name:.+}", **AT_PLACE)
    config.add_api_route("api.feed.public", "/api/feed/public")
    config.add_api_route("api.feed.home", "/api/feed/home")
    tag = {"tag": PathParam("The tag without its #, in whatever case.", "sichuan")}
    config.add_api_route("api.feed.tag", "/api/feed/tags/{tag}", params=tag, factory=Tags, traverse="/{tag}")
    name = {"name": PathParam("The name of the place, as people write it.", "Old Chen")}
    config.add_api_route("api.feed.place", "/api/feed/places/{name:.+}", params=name, **AT_PLACE)
    config.add_api_twin("/tags/{tag}", "/api/feed/tags/{tag}")
    config.add_api_twin("/places/{name:.+}", "/api/feed/places/{name}")
    config.scan(".web")
    config.scan(".api")


def _keep_home_feeds(config: Configurator) -> None:
    for event, handler in (
        (MealPublished, service.meal_published),
        (VisibilityChanged, service.visibility_changed),
        (MealDeleted, service.meal_deleted),
        (Followed, service.followed),
        (Unfollowed, service.unfollowed),
        (Blocked, service.blocked),
    ):
        config.subscribe(event, handler)
    for job, run, priority in (
        (service.FAN_OUT, jobs.fan_out, Priority.NORMAL),
        (service.WITHDRAW, jobs.withdraw, Priority.NORMAL),
        (service.BACK_FILL, jobs.back_fill, Priority.LOW),
        (service.SETTLE, jobs.settle, Priority.LOW),
    ):
        config.add_job(job, run, priority=priority)
