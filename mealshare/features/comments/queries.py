"""Reading comments: one statement for a list or a conversation, whatever its length.

A comment is seen by whoever sees its meal and for whom the one who wrote it exists; what a comment's own ``visibility``
says (it is that of the meal when it was written) is never asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import aliased

from mealshare.core.db import MAX_ID, Page, Window, both_ways, fetch, fetch_one, fetch_window, make_page, page_limit
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import ANONYMOUS, not_muted, reachable, viewer_id, visible
from mealshare.features.comments.models import Comment
from mealshare.features.meals.cards import LIKES
from mealshare.features.meals.models import Post

#: Threads on a page of a conversation, and replies that each shows of its newest.
THREADS, REPLIES = 20, 10
#: Replies on the page of a single thread.
THREAD_PAGE = 50
ZERO: ColumnElement[int] = literal_column("0")
ONE: ColumnElement[int] = literal_column("1")
KIND: ColumnElement[str] = literal_column("'comment'")


@dataclass
class CommentRow:
    """A comment with the one who wrote it, the meal that it is about, and how the viewer stands to it."""

    id: int
    version: int
    author_version: int
    account_id: int
    username: str
    display_name: str
    avatar_key: str | None
    author_url: str
    uri: str
    url: str
    note: str
    note_html: str
    created_at: datetime
    edited_at: datetime | None
    answered_id: int
    meal_id: int
    meal_account_id: int
    meal_username: str
    likes_count: int
    like_id: int | None = None

    @property
    def in_reply_to_id(self) -> int | None:
        """The comment at the top of its thread; None if that is this one."""
        return None if self.answered_id == self.meal_id else self.answered_id

    @property
    def thread_id(self) -> int:
        """The comment at the top of its thread, be it this one."""
        return self.in_reply_to_id or self.id

    @property
    def liked(self) -> bool:
        """Whether the viewer likes it."""
        return self.like_id is not None

    @property
    def by_eater(self) -> bool:
        """Whether the one who ate the meal wrote it."""
        return self.account_id == self.meal_account_id


@dataclass
class Thread:
    """A comment with its replies, oldest first."""

    id: int
    #: None: it is gone, or not for the viewer; its replies stay, and the two must not differ.
    top: CommentRow | None = None
    replies: list[CommentRow] = field(default_factory=list)
    #: Whether there are replies older than those.
    earlier: bool = False


@dataclass
class Conversation:
    """A page of threads, in the order in which they began; or a page of a single one."""

    threads: list[Thread]
    #: The threads (or the replies of the single thread) before this id are the page before; None: there is none.
    before: int | None = None


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


def _author_shown(author: Any, *, personal: bool) -> Any:
    """Whether comments of ``author`` come up in what the viewer reads."""
    return and_(reachable(author, personal=personal), not_muted(viewer_id(), author.id) if personal else true())


def _shown(comment: Any, author: Any, *, personal: bool) -> Any:
    """Whether the comment is in a list, for somebody who sees the meal."""
    return and_(comment.deleted_at.is_(None), _author_shown(author, personal=personal))


def _rows(*more: Any, personal: bool, parts: Any = None) -> Select[Any]:
    """Comments on meals that the viewer may see; or the ``parts`` of a conversation, all about the meal ``:meal``.

    Those say so themselves: joined by their own column, PostgreSQL would rather walk through the meals of the site.
    """
    meal, eater = aliased(Post, name="meal"), aliased(Account, name="eater")
    columns = (
        Post.id, Post.version, Account.version, Post.account_id, Account.username, Account.display_name,
        Account.avatar_key, Account.url, Post.uri, Post.url, Post.note, Post.note_html, Post.created_at, Post.edited_at,
        Post.in_reply_to_id, Post.root_id, meal.account_id, eater.username, Post.likes_count,
    )  # fmt: skip
    source = Post.__table__ if parts is None else parts.join(Post.__table__, Post.id == parts.c.id)
    source = (
        source.join(Account.__table__, Account.id == Post.account_id)
        .join(meal, meal.id == (Post.root_id if parts is None else _bound("meal")))
        .join(eater, eater.id == meal.account_id)
    )
    # A look-up for each row of the page: joined, PostgreSQL may read all that the viewer ever liked instead.
    like = select(LIKES.c.id).where(LIKES.c.post_id == Post.id, LIKES.c.account_id == viewer_id())
    liked = like.correlate(Post).scalar_subquery() if personal else literal_column("NULL")
    return (
        select(*more, *columns, liked)
        .select_from(source)
        .where(Post.kind == KIND, visible(meal, eater, personal=personal))
    )


# --- One, and the flat list of the API ---

_ONE = {
    personal: _rows(personal=personal).where(
        Post.id == _bound("id"), Post.deleted_at.is_(None), reachable(Account, personal=personal)
    )
    for personal in (False, True)
}


def comment_by_id(connection: Connection, comment_id: int, viewer: int = ANONYMOUS) -> CommentRow | None:
    """The comment, or None if there is none that the viewer may see."""
    row = fetch_one(connection, _ONE[viewer != ANONYMOUS], {"id": comment_id, "viewer": viewer})
    return None if row is None else CommentRow(*tuple(row))


def _list(*, personal: bool) -> Select[Any]:
    return _rows(personal=personal).where(Post.root_id == _bound("meal"), _shown(Post, Account, personal=personal))


_LIST: Mapping[bool, Mapping[bool, Select[Any]]] = {
    personal: both_ways(_list(personal=personal), Post.id) for personal in (False, True)
}


def comments_page(connection: Connection, meal_id: int, window: Window, viewer: int = ANONYMOUS) -> Page[CommentRow]:
    """The comments on a meal, replies among them, newest first."""
    statement = _LIST[viewer != ANONYMOUS][window.upwards]
    found = fetch_window(connection, statement, window, {"meal": meal_id, "viewer": viewer})
    rows = [CommentRow(*tuple(row)) for row in found]
    return make_page(rows, window, lambda comment: comment.id)


# --- Conversations: threads with their newest replies, or one thread ---


def _conversation(*, personal: bool) -> Select[Any]:
    """The newest threads before one, each with its newest replies.

    A thread whose top is gone (or hidden from the viewer) is there as long as it has a reply for the viewer.
    """
    top, author = aliased(Post, name="top"), aliased(Account, name="top_author")
    reply, answerer = aliased(Post, name="reply"), aliased(Account, name="answerer")
    other = aliased(Post, name="other")
    # The newest reply that does not fit any more: a bound for each thread, read from the same index.
    since = (
        select(other.id)
        .where(other.in_reply_to_id == top.id, other.deleted_at.is_(None))
        .order_by(other.id.desc())
        .limit(ONE)
        .offset(literal_column(str(REPLIES)))
        .correlate(top)
        .scalar_subquery()
    )
    # As a value, and not as EXISTS: of that PostgreSQL might make a hash of all replies of the site.
    answer = (
        select(reply.id)
        .join(answerer, answerer.id == reply.account_id)
        .where(reply.in_reply_to_id == top.id, _shown(reply, answerer, personal=personal))
        .order_by(reply.id.desc())
        .limit(ONE)
        .correlate(top)
        .scalar_subquery()
    )
    threads = (
        select(top.id.label("id"), func.coalesce(since, ZERO).label("since"))
        .join(author, author.id == top.account_id)
        .where(
            top.in_reply_to_id == _bound("meal"),
            top.kind == KIND,
            top.id < _bound("before"),
            or_(_shown(top, author, personal=personal), answer.is_not(None)),
        )
        .order_by(top.id.desc())
        .limit(page_limit())
        .cte("threads")
    )
    member = aliased(Post, name="member")
    parts = union_all(
        select(threads.c.id.label("thread"), threads.c.since.label("since"), threads.c.id.label("id")),
        # The sum keeps SQLite from reading all answers and looking each up among the threads, which it does with statistics.
        select(threads.c.id, threads.c.since, member.id).join(
            member, and_(member.in_reply_to_id == threads.c.id + 0, member.id > threads.c.since)
        ),
    ).subquery("parts")
    return _parts(parts, personal=personal)


def _single(*, personal: bool) -> Select[Any]:
    """One thread, with the newest replies before one."""
    reply, answerer = aliased(Post, name="reply"), aliased(Account, name="answerer")
    top = aliased(Post, name="top")
    on_this_meal = and_(top.id == _bound("thread"), top.in_reply_to_id == _bound("meal"))
    newest = (
        select(reply.id)
        .join(answerer, answerer.id == reply.account_id)
        .join(top, on_this_meal)
        .where(
            reply.in_reply_to_id == _bound("thread"),
            reply.id < _bound("before"),
            _shown(reply, answerer, personal=personal),
        )
        .order_by(reply.id.desc())
        .limit(page_limit())
        .subquery("newest")
    )
    itself = select(top.id.label("thread"), ZERO.label("since"), top.id.label("id")).where(on_this_meal)
    parts = union_all(itself, select(_bound("thread"), ZERO, newest.c.id)).subquery("parts")
    return _parts(parts, personal=personal)


def _parts(parts: Any, *, personal: bool) -> Select[Any]:
    """The rows of a conversation: those of ``parts``, where a top that is not shown is only a place for its replies."""
    shown = _shown(Post, Account, personal=personal)
    statement = _rows(parts.c.thread, parts.c.since, shown, personal=personal, parts=parts)
    return statement.where(or_(Post.id == parts.c.thread, shown))


_CONVERSATION = {personal: _conversation(personal=personal) for personal in (False, True)}
_SINGLE = {personal: _single(personal=personal) for personal in (False, True)}


def conversation(
    connection: Connection, meal_id: int, viewer: int = ANONYMOUS, *, before: int | None = None
) -> Conversation:
    """The newest threads (before the one with the id ``before``) on a meal, each with its newest replies."""
    values = {"meal": meal_id, "viewer": viewer, "before": before or MAX_ID, "limit": THREADS + 1}
    threads = _threads(fetch(connection, _CONVERSATION[viewer != ANONYMOUS], values))
    fitting = threads[-THREADS:]
    return Conversation(fitting, fitting[0].id if len(threads) > THREADS else None)


def single_thread(
    connection: Connection, meal_id: int, thread_id: int, viewer: int = ANONYMOUS, *, before: int | None = None
) -> Conversation:
    """One thread, with the newest of its replies (before the one with the id ``before``); empty if there is none."""
    values = {
        "meal": meal_id,
        "thread": thread_id,
        "viewer": viewer,
        "before": before or MAX_ID,
        "limit": THREAD_PAGE + 1,
    }
    threads = _threads(fetch(connection, _SINGLE[viewer != ANONYMOUS], values))
    if not threads or (threads[0].top is None and not threads[0].replies):
        return Conversation([])
    (thread,) = threads
    more = len(thread.replies) > THREAD_PAGE
    thread.replies = thread.replies[-THREAD_PAGE:]
    return Conversation([thread], thread.replies[0].id if more else None)


def _threads(rows: Sequence[Any]) -> list[Thread]:
    """Rows, which come in no order, as threads, in the order of their beginnings."""
    threads: dict[int, Thread] = {}
    for thread_id, since, shown, *values in rows:
        thread = threads.setdefault(thread_id, Thread(thread_id))
        thread.earlier = since > 0
        if shown and values[0] == thread_id:
            thread.top = CommentRow(*values)
        elif values[0] != thread_id:
            thread.replies.append(CommentRow(*values))
    for thread in threads.values():
        thread.replies.sort(key=lambda reply: reply.id)
    return [threads[id] for id in sorted(threads)]


_PAGE_AFTER = (
    select(Post.id)
    .where(Post.in_reply_to_id == _bound("thread"), Post.id > _bound("id"))
    .order_by(Post.id)
    .limit(ONE)
    .offset(literal_column(str(THREAD_PAGE - 1)))
)


def is_far_back(connection: Connection, comment: CommentRow) -> bool:
    """Whether so many replies have come since that the first page of its thread may not show the comment."""
    if comment.in_reply_to_id is None:
        return False
    return fetch_one(connection, _PAGE_AFTER, {"thread": comment.in_reply_to_id, "id": comment.id}) is not None


# --- For writing ---


def comment_entity(session: Any, comment_id: int) -> Comment | None:
    """The living comment, locked for a change, or None."""
    living = select(Comment).where(Comment.id == comment_id, Comment.deleted_at.is_(None))
    # What the session may hold of it was read before the lock.
    comment: Comment | None = session.scalars(
        living.with_for_update(of=Post).execution_options(populate_existing=True)
    ).first()
    return comment
