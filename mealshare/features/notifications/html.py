"""Notifications as the page shows them: a sentence for each group, with links in it, and a few pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup
from pyramid.request import Request

from mealshare.core.i18n import Plural, _, n_
from mealshare.core.markup import trusted
from mealshare.features.meals.vocabulary import MealType
from mealshare.features.media.urls import PREVIEW, media_url
from mealshare.features.notifications.models import NotificationType
from mealshare.features.notifications.queries import MealRow, Notice, PersonRow, SubjectRow
from mealshare.web.ui import Ui

#: How many avatars stand in a row.
MAX_AVATARS = 3
#: How much of a comment is shown.
EXCERPT = 160
ICONS = {
    NotificationType.LIKE: "heart",
    NotificationType.COMMENT: "message-circle",
    NotificationType.MENTION: "at-sign",
    NotificationType.FOLLOW: "user-plus",
    NotificationType.FOLLOW_REQUEST: "user-check",
    NotificationType.ATE_TOO: "utensils",
    NotificationType.REPORT: "shield-alert",
    NotificationType.MODERATION: "shield-alert",
}
LABELS = {
    NotificationType.LIKE: _("Yum!"),
    NotificationType.COMMENT: _("Comments"),
    NotificationType.MENTION: _("Mentions"),
    NotificationType.FOLLOW: _("New followers"),
    NotificationType.FOLLOW_REQUEST: _("Follow requests"),
    NotificationType.ATE_TOO: _("“I ate this too”"),
}
#: By kind, for a comment with "_comment": what one person did, and what somebody and ``n`` others did.
TEXTS: dict[str, tuple[str, Callable[[int], Plural] | None]] = {
    "like": (
        _("${name} likes your ${food}"),
        lambda n: n_("${name} and ${n} other like your ${food}", "${name} and ${n} others like your ${food}", n),
    ),
    "like_comment": (
        _("${name} likes your comment on ${food}"),
        lambda n: n_(
            "${name} and ${n} other like your comment on ${food}",
            "${name} and ${n} others like your comment on ${food}",
            n,
        ),
    ),
    "comment_comment": (
        _("${name} commented on your ${food}"),
        lambda n: n_(
            "${name} and ${n} other commented on your ${food}",
            "${name} and ${n} others commented on your ${food}",
            n,
        ),
    ),
    "answer_comment": (
        _("${name} answered you below ${food}"),
        lambda n: n_(
            "${name} and ${n} other answered you below ${food}",
            "${name} and ${n} others answered you below ${food}",
            n,
        ),
    ),
    # One person writes a post, so nobody is named in it by several.
    "mention": (_("${name} mentioned you in ${food}"), None),
    "mention_comment": (_("${name} mentioned you in a comment on ${food}"), None),
    "ate_too": (
        _("${name} ate your ${food} too"),
        lambda n: n_("${name} and ${n} other ate your ${food} too", "${name} and ${n} others ate your ${food} too", n),
    ),
    "follow": (
        _("${name} follows you"),
        lambda n: n_("${name} and ${n} other follow you", "${name} and ${n} others follow you", n),
    ),
    "follow_request": (
        _("${name} would like to follow you"),
        lambda n: n_(
            "${name} and ${n} other would like to follow you", "${name} and ${n} others would like to follow you", n
        ),
    ),
}


@dataclass(frozen=True)
class Item:
    """A group, ready for the template."""

    id: int
    type: str
    icon: str
    new: bool
    words: Markup
    created_at: datetime
    avatars: Sequence[Markup]
    picture: str | None
    excerpt: str


def items(request: Request, notices: Sequence[Notice]) -> list[Item]:
    """Each group as an item for this reader; one that nobody has words for yet is left out."""
    ui = Ui.of(request)
    return [_item(ui, notice) for notice in notices if _kind(notice) in TEXTS and notice.users]


def _kind(notice: Notice) -> str:
    below = notice.subject is not None and notice.subject.comment is not None
    return f"{notice.group.kind}_comment" if below else notice.group.kind


def _item(ui: Ui, notice: Notice) -> Item:
    group, subject = notice.group, notice.subject
    picture = None if subject is None else subject.picture
    note = "" if subject is None or subject.comment is None else subject.comment[2]
    return Item(
        group.id,
        group.type,
        ICONS[NotificationType(group.type)],
        not group.read,
        _words(ui, notice),
        group.created_at,
        [ui.avatar(user.id, _name(user), user.avatar_key, "s") for user in notice.users[:MAX_AVATARS]],
        None if picture is None else media_url("", picture, PREVIEW),
        # Of what I wrote myself nobody has to remind me.
        "" if group.kind == "like" else _shortened(note),
    )


def _words(ui: Ui, notice: Notice) -> Markup:
    """The sentence, with a link to the person and one to the thing."""
    one, many = TEXTS[_kind(notice)]
    parts = {"name": _person_link(notice.users[0])}
    if notice.subject is not None:
        parts["food"] = _subject_link(ui, notice, notice.subject)
    others = len(notice.group.people) - 1
    text = one if many is None or not others else many(others)
    # Our own words with escaped ones in them.
    return trusted(ui.request.translate(text, **parts))


def _person_link(user: PersonRow) -> Markup:
    return Markup('<a class="notice__name" href="/@{}"><bdi>{}</bdi></a>').format(user.username, _name(user))


def _subject_link(ui: Ui, notice: Notice, subject: SubjectRow) -> Markup:
    """What the sentence is about, leading there: to the comment, to the one meal that was eaten after mine, or mine."""
    meal, url = subject.meal, subject.meal.url
    if notice.group.kind == "ate_too" and subject.origin is not None:
        meal, url = subject.origin, subject.meal.url if len(notice.group.people) == 1 else subject.origin.url
    if subject.comment is not None:
        url = subject.comment[1]
    return Markup('<a class="notice__food" href="{}"><bdi>{}</bdi></a>').format(
        url.removeprefix(ui.base_url), _food(ui, meal)
    )


def _name(user: PersonRow) -> str:
    return user.display_name or user.username


def _food(ui: Ui, meal: MealRow) -> str:
    return meal.food or ui.t(MealType(meal.meal_type).label)


def _shortened(note: str) -> str:
    words = " ".join(note.split())
    return words if len(words) <= EXCERPT else words[: EXCERPT - 1].rstrip() + "…"
