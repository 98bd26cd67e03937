"""Notifications as JSON."""

from __future__ import annotations

from mealshare.core.dates import rfc3339
from mealshare.features.accounts.present import avatar_url
from mealshare.features.meals.schemas_out import AuthorOut
from mealshare.features.notifications.models import NotificationType
from mealshare.features.notifications.queries import MealRow, Notice
from mealshare.features.notifications.schemas import CommentRef, MealRef, NotificationOut


def notification_out(notice: Notice, base_url: str) -> NotificationOut:
    """A group in its public shape."""
    group, subject = notice.group, notice.subject
    comment = None if subject is None else subject.comment
    return NotificationOut(
        id=str(group.id),
        type=NotificationType(group.type),
        created_at=rfc3339(group.created_at),
        read=group.read,
        count=len(group.people),
        users=[
            AuthorOut(user.username, user.display_name, avatar_url(base_url, user.avatar_key), user.url)
            for user in notice.users
        ],
        meal=None if subject is None else _meal(subject.meal),
        comment=None if comment is None else CommentRef(str(comment[0]), comment[1], comment[2]),
        inspired_by=None if subject is None or group.kind != "ate_too" else _meal(subject.origin),
    )


def _meal(meal: MealRow | None) -> MealRef | None:
    return None if meal is None else MealRef(str(meal.id), meal.url, meal.food)
