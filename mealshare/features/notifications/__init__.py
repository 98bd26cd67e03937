"""Notifications: what others did with one's meals."""

from __future__ import annotations

from datetime import timedelta

from pyramid.config import Configurator

from mealshare.core.jobs import Priority
from mealshare.features.comments.events import CommentDeleted, Commented, CommentEdited
from mealshare.features.meals.events import MealDeleted, MealEdited, MealPublished, VisibilityChanged
from mealshare.features.notifications import service, web
from mealshare.features.notifications.jobs import sweep_old
from mealshare.features.notifications.queries import UNREAD
from mealshare.features.notifications.rules import RULES
from mealshare.features.reactions.events import Liked, Unliked
from mealshare.features.social.events import Blocked, Followed, FollowRequested, Muted, Unfollowed

HANDLERS = {
    Liked: service.on_liked,
    Unliked: service.on_unliked,
    FollowRequested: service.on_follow_requested,
    Followed: service.on_followed,
    Unfollowed: service.on_unfollowed,
    Blocked: service.on_blocked,
    Muted: service.on_muted,
    MealPublished: service.on_meal_published,
    MealEdited: service.on_meal_edited,
    VisibilityChanged: service.on_visibility_changed,
    MealDeleted: service.on_meal_deleted,
    Commented: service.on_commented,
    CommentEdited: service.on_comment_edited,
    CommentDeleted: service.on_comment_deleted,
}
TEMPLATES = "mealshare.features.notifications:templates"


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.add_rules(RULES)
    config.add_api_tags({"notifications": "What others did with you and your meals, and which of it you want to know."})
    for event, handler in HANDLERS.items():
        config.subscribe(event, handler)
    config.add_job("notifications.sweep", sweep_old, every=timedelta(days=1), priority=Priority.LOW)
    config.add_identity_column(web.UNREAD, UNREAD)
    config.add_slot("layout.nav", f"{TEMPLATES}/bell.pt", web.bell)
    config.add_slot("settings.nav", f"{TEMPLATES}/link.pt", web.settings_link)
    config.add_route("notifications", "/notifications")
    config.add_route("notifications.read", "/notifications/read")
    config.add_route("settings.notifications", "/settings/notifications")
    config.add_api_route("api.notifications", "/api/notifications")
    config.add_api_route("api.notifications.read", "/api/notifications/read")
    config.add_api_route("api.notifications.settings", "/api/notifications/settings")
    config.scan(".web")
    config.scan(".api")
