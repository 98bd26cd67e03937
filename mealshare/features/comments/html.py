"""The conversation below a meal, and the link to it on each card."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape
from pyramid.renderers import render
from pyramid.request import Request

from mealshare.core.i18n import _
from mealshare.core.ids import parse_id
from mealshare.core.markup import trusted
from mealshare.features.comments.queries import CommentRow, Conversation, conversation, single_thread
from mealshare.features.comments.rules import may_delete
from mealshare.features.comments.schemas import CommentInput
from mealshare.features.meals.cards import Card
from mealshare.features.meals.resources import viewer_of
from mealshare.web.forms import Form
from mealshare.web.ui import Ui

COMMENTS = _("Comments")
LIKE = _("Like")
PANEL = "mealshare.features.comments:templates/panel.pt"
# Written without a template engine: they stand many times on a page.
ACTION = (
    '<a class="action" id="comments-of-%(id)d" href="/@%(user)s/%(id)d#comments">%(icon)s'
    '<span class="visually-hidden">%(label)s</span> <span>%(count)s</span></a>'
)
LIKE_FORM = (
    '<form id="like-%(id)d" method="post" action="/comments/%(id)d/like"%(htmx)s>'
    '<input type="hidden" name="csrf_token" value="%(csrf)s"><input type="hidden" name="next" value="%(next)s">%(undo)s'
    '<button class="action comment__action" id="yum-%(id)d" type="submit" aria-pressed="%(pressed)s">'
    '%(icon)s<span class="visually-hidden">%(label)s</span><span>%(count)s</span></button></form>'
)
# Only for those who are signed in: a visitor is sent to the login page.
HTMX = ' hx-post="/comments/%d/like" hx-target="this" hx-select="#like-%d" hx-swap="outerHTML ignoreTitle:true"'
UNDO = '<input type="hidden" name="undo" value="1">'


def comments_action(ui: Ui, card: Card) -> str:
    """How many comments a meal has, as a link to them."""
    return ACTION % {
        "id": card.id,
        "user": card.username,
        "icon": ui.icon("message-circle"),
        "label": escape(ui.t(COMMENTS)),
        "count": card.comments_count or "",
    }


def like_button(ui: Ui, comment: CommentRow, back: str) -> Markup:
    """The small heart of a comment, for this reader; without a script it leads ``back``."""
    html = LIKE_FORM % {
        "id": comment.id,
        "htmx": HTMX % (comment.id, comment.id) if ui.identity is not None else "",
        "csrf": ui.csrf_token,
        "next": escape(back),
        "undo": UNDO if comment.liked else "",
        "pressed": "true" if comment.liked else "false",
        "icon": ui.icon("heart"),
        "label": escape(ui.t(LIKE)),
        "count": comment.likes_count or "",
    }
    # Numbers, and what is escaped.
    return trusted(html)


def comment_form(request: Request) -> Form[CommentInput]:
    """An empty form for a comment."""
    return Form(request, CommentInput)


def comments_panel(request: Request, card: Card, form: Form[CommentInput] | None = None) -> Markup:
    """The conversation about a meal; ``form`` is one that came back with errors.

    The address chooses the page: ``thread`` shows a single one, ``comments_before`` what came before an id.
    """
    ui, identity = Ui.of(request), request.identity
    thread, before = _id(request, "thread"), _id(request, "comments_before")
    page = _read(request, card.id, thread, before)
    path = f"/@{card.username}/{card.id}"
    values = {
        "ui": ui,
        "card": card,
        "path": path,
        "thread": thread,
        "query": f"?thread={thread}" if thread else "",
        "before": before,
        "threads": page.threads,
        "earlier": _earlier(path, thread, page),
        "form": form or comment_form(request),
        "writing": identity is not None and not card.comments_closed,
        "own": identity is not None and identity.account_id == card.account_id,
        "can": _Can(ui, f"{path}{_query(thread, before)}"),
    }
    return trusted(render(PANEL, values, request=request))


class _Can:
    """What the template of a comment asks for this reader."""

    def __init__(self, ui: Ui, here: str) -> None:
        self.ui = ui
        self.here = here

    def edit(self, comment: CommentRow) -> bool:
        """Whether the reader wrote it."""
        identity = self.ui.identity
        return identity is not None and identity.account_id == comment.account_id

    def delete(self, comment: CommentRow) -> bool:
        """Whether the reader may delete it."""
        return may_delete(self.ui.identity, comment) is None

    def like(self, comment: CommentRow) -> Markup:
        """The heart."""
        return like_button(self.ui, comment, self.here)

    def suggestion(self, comment: CommentRow) -> str:
        """What an answer begins with: the name of the one who is answered, unless that is oneself."""
        return "" if self.edit(comment) else f"@{comment.username} "


def _read(request: Request, meal_id: int, thread: int | None, before: int | None) -> Conversation:
    viewer = viewer_of(request)
    if thread is not None:
        return single_thread(request.conn, meal_id, thread, viewer, before=before)
    return conversation(request.conn, meal_id, viewer, before=before)


def _id(request: Request, name: str) -> int | None:
    """An id of the address; what is none is not there, as with a mistyped address."""
    try:
        return parse_id(request.GET.get(name, ""))
    except ValueError:
        return None


def _query(thread: int | None, before: int | None) -> str:
    pairs = [("thread", thread), ("comments_before", before)]
    text = "&".join(f"{name}={value}" for name, value in pairs if value is not None)
    return f"?{text}" if text else ""


def _earlier(path: str, thread: int | None, page: Conversation) -> str | None:
    return None if page.before is None else f"{path}{_query(thread, page.before)}"


def place_of(comment: CommentRow, *, far_back: bool = False) -> str:
    """The path on which the comment is to be seen, with the part of the page; in its thread.

    ``far_back``: with so many replies after it that the first page of the thread ends before it.
    """
    query = _query(comment.thread_id, comment.id + 1 if far_back else None)
    return f"/@{comment.meal_username}/{comment.meal_id}{query}#comment-{comment.id}"


def page_values(request: Request, comment: CommentRow, **values: Any) -> dict[str, Any]:
    """What the pages about one comment need."""
    return {"comment": comment, "back": place_of(comment), "path": f"/@{comment.username}/{comment.id}", **values}
