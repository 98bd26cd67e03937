"""Who may see what: the one predicate that every list, page, picture, count and answer of the API asks.

It works on any table that has ``account_id``, ``visibility`` and ``deleted_at``, together with the author's row of
``accounts``.  The viewer is the bind parameter ``viewer``: an account id, or 0 for somebody without an account.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, literal_column, or_

#: No account has the id 0.
ANONYMOUS = 0
#: What everybody may see, listed or not.
OPEN: tuple[ColumnElement[str], ...] = (literal_column("'public'"), literal_column("'unlisted'"))


def viewer_id() -> Any:
    """The bind parameter for the one who looks."""
    return bindparam("viewer", type_=BigInteger)


def visible(post: Any, author: Any) -> ColumnElement[bool]:
    """The condition under which the viewer may see ``post``, written by ``author`` (columns, aliases or models).

    A deleted post and one of a suspended author exist for nobody.
    """
    return and_(
        post.deleted_at.is_(None),
        author.suspended_at.is_(None),
        or_(post.visibility.in_(OPEN), post.account_id == viewer_id()),
    )


def listed(post: Any, author: Any) -> ColumnElement[bool]:
    """The condition for lists that show the posts of everybody: public ones only.

    The literal lets the planner see that the partial index on public posts serves.
    """
    return and_(post.deleted_at.is_(None), author.suspended_at.is_(None), post.visibility == OPEN[0])
