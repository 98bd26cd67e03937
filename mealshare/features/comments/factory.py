"""Makes the service from what a request, a job or a command has at hand."""

from __future__ import annotations

from pyramid.registry import Registry
from pyramid.request import Request

from mealshare.core.errors import NotFound, TooMany
from mealshare.core.work import Work
from mealshare.features.comments.queries import CommentRow, comment_by_id
from mealshare.features.comments.service import CommentService
from mealshare.features.meals.resources import viewer_of

#: In the environ, because a request that is tried again after a conflict still comments once.
_COUNTED = "mealshare.comments.counted"


def make_comment_service(work: Work, registry: Registry) -> CommentService:
    """The service for one unit of work."""
    return CommentService(work, registry["base_url"])


def comment_service(request: Request) -> CommentService:
    """The service for this request's transaction."""
    return make_comment_service(request.work, request.registry)


def count_comment(request: Request) -> None:
    """Count a comment, or a change of one, against the person's limit.  Raises TooMany."""
    if request.environ.get(_COUNTED):
        return
    decision = request.registry["ratelimit"].hit("comment", f"account:{request.identity.account_id}")
    if not decision.allowed:
        raise TooMany(decision.retry_after, decision.limit)
    request.environ[_COUNTED] = True


def fresh_comment(request: Request, comment_id: int) -> CommentRow:
    """The comment as this request has just written it."""
    request.db.flush()
    comment = comment_by_id(request.conn, comment_id, viewer_of(request))
    if comment is None:
        raise NotFound
    return comment
