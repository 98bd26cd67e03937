"""Streams: new meals as they are posted, to clients that keep a connection open (server-sent events)."""

from __future__ import annotations

from pyramid.config import Configurator
from sqlalchemy import event

from mealshare.core.i18n import _
from mealshare.core.lines import LASTING
from mealshare.core.settings import settings_of
from mealshare.core.work import Work
from mealshare.features.accounts.settings import AuthSettings
from mealshare.features.meals.events import MealPublished
from mealshare.features.streams import html
from mealshare.features.streams.hub import Hub
from mealshare.features.streams.settings import StreamSettings
from mealshare.features.streams.vocabulary import Feed

PROBLEMS = {
    "too_many_streams": (429, _("You have too many streams open. Please close one.")),
    "streams_full": (503, _("Too many people are listening at the moment. Please try again later.")),
}


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    registry = config.registry
    settings = config.declare_settings(StreamSettings, prefix="streams")
    hub = Hub(
        registry["read_engine"],
        lambda: registry["meal_json"],
        settings,
        settings_of(registry, AuthSettings).session_idle,
    )
    registry["streams"] = hub
    registry[LASTING] = settings.listeners
    registry.setdefault("on_serve", []).append(lambda: hub.stop)
    config.add_problems(PROBLEMS)

    def published(work: Work, published: MealPublished) -> None:
        # Others cannot see it before.
        if len(hub):
            event.listen(work.session, "after_commit", lambda _session: hub.wake(), once=True)

    config.subscribe(MealPublished, published)
    for feed, slot in ((Feed.PUBLIC, "front.news"), (Feed.HOME, "home.news")):
        config.add_slot(slot, html.NEWS, html.news_of(feed))
    config.add_api_route("api.feed.stream", "/api/feed/stream")
    config.scan(".api")
