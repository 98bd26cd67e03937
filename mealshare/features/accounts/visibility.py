"""Who may see what: the one predicate that every list, page, picture, count and answer of the API asks.

It works on any table that has ``account_id``, ``visibility`` and ``deleted_at``, together with the author's row of
``accounts``.  The viewer is the bind parameter ``viewer``: an account id, or 0 for somebody without an account.  The
tables of follows, blocks and mutes belong to a higher feature and are named here by their columns only.

Each condition has a form for a visitor (``personal=False``), whom nobody follows, blocks or mutes: it says the same as
the other one for the viewer 0, and asks no further table.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    column,
    exists,
    func,
    literal_column,
    or_,
    select,
    table,
    true,
)

from mealshare.core.db import UTCDateTime

#: No account has the id 0.
ANONYMOUS = 0
#: What everybody may see, listed or not.
OPEN: tuple[ColumnElement[str], ...] = (literal_column("'public'"), literal_column("'unlisted'"))
FOLLOWERS: ColumnElement[str] = literal_column("'followers'")
ACCEPTED: ColumnElement[str] = literal_column("'accepted'")

FOLLOWS = table(
    "follows",
    column("id", BigInteger),
    column("account_id", BigInteger),
    column("target_id", BigInteger),
    column("state"),
)
BLOCKS = table("blocks", column("id", BigInteger), column("account_id", BigInteger), column("target_id", BigInteger))
MUTES = table(
    "mutes",
    column("id", BigInteger),
    column("account_id", BigInteger),
    column("target_id", BigInteger),
    column("until", UTCDateTime),
)


def viewer_id() -> Any:
    """The bind parameter for the one who looks."""
    return bindparam("viewer", type_=BigInteger)


def _has_no(table: Any, *conditions: Any) -> ColumnElement[bool]:
    """The condition that no row of ``table`` fulfils ``conditions``, of which at most one could.

    As a value that differs from 1, and not as NOT EXISTS: PostgreSQL would make a join of that, take it for one that
    leaves next to nothing, and sort the whole list instead of reading the first page from its index.
    """
    found = select(literal_column("1")).select_from(table).where(*conditions).scalar_subquery()
    return func.coalesce(found, literal_column("0")) != literal_column("1")


def unblocked(one: Any, other: Any) -> ColumnElement[bool]:
    """Whether neither of two accounts (columns or parameters) has blocked the other; else neither sees the other.

    Two lookups in one unique index, for a block is a row of the one who blocks.
    """
    mine, theirs = BLOCKS.alias("block_of_one"), BLOCKS.alias("block_of_other")
    return and_(
        _has_no(mine, mine.c.account_id == one, mine.c.target_id == other),
        _has_no(theirs, theirs.c.account_id == other, theirs.c.target_id == one),
    )


def follows(account: Any, target: Any) -> ColumnElement[bool]:
    """Whether ``account`` follows ``target``, accepted."""
    return exists(
        select(literal_column("1")).where(
            FOLLOWS.c.account_id == account, FOLLOWS.c.target_id == target, FOLLOWS.c.state == ACCEPTED
        )
    )


def not_muted(account: Any, target: Any) -> ColumnElement[bool]:
    """Whether ``account`` has not muted ``target``, or the mute has ended."""
    lasting = or_(MUTES.c.until.is_(None), MUTES.c.until > func.current_timestamp())
    return _has_no(MUTES, MUTES.c.account_id == account, MUTES.c.target_id == target, lasting)


def reachable(account: Any, *, personal: bool = True) -> ColumnElement[bool]:
    """The condition under which a person (a row of ``accounts``) exists for the viewer."""
    return and_(account.suspended_at.is_(None), unblocked(viewer_id(), account.id) if personal else true())


def visible(post: Any, author: Any, *, personal: bool = True) -> ColumnElement[bool]:
    """The condition under which the viewer may see ``post``, written by ``author`` (columns, aliases or models).

    A deleted post and one of a suspended author exist for nobody.  To be asked of whatever has a visibility of its own;
    a comment has that of its meal, so both rows are asked, the comment's author by `reachable`.
    """
    living = and_(post.deleted_at.is_(None), author.suspended_at.is_(None))
    if not personal:
        return and_(living, post.visibility.in_(OPEN))
    me = viewer_id()
    return and_(
        living,
        or_(
            post.account_id == me,
            and_(
                or_(post.visibility.in_(OPEN), and_(post.visibility == FOLLOWERS, follows(me, post.account_id))),
                unblocked(me, post.account_id),
            ),
        ),
    )


def listed(post: Any, author: Any, *, personal: bool = True) -> ColumnElement[bool]:
    """The condition for lists that show the posts of everybody: public ones only, and of nobody whom the viewer muted.

    The literal lets the planner see that the partial index on public posts serves.
    """
    public = and_(post.deleted_at.is_(None), author.suspended_at.is_(None), post.visibility == OPEN[0])
    if not personal:
        return public
    me = viewer_id()
    return and_(public, unblocked(me, post.account_id), not_muted(me, post.account_id))


def unmuted(post: Any, *, personal: bool = True) -> ColumnElement[bool]:
    """The condition under which a post may come up by itself, in a feed, a search or a draw: its author is not muted.

    On the author's own page, and by its address, it is there all the same.
    """
    return not_muted(viewer_id(), post.account_id) if personal else true()
