"""The JSON face of comments."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request

from mealshare.api import Link, Reply, SortedQuery, api_view, check_not_modified, page_headers
from mealshare.core.errors import NotFound, PreconditionFailed
from mealshare.features.comments.factory import comment_service, count_comment, fresh_comment
from mealshare.features.comments.present import comment_etag, comment_out
from mealshare.features.comments.queries import CommentRow, comment_entity, comments_page
from mealshare.features.comments.resources import CommentContext
from mealshare.features.comments.rules import CommentPermission
from mealshare.features.comments.schemas import CommentInput, CommentOut, CommentPatch
from mealshare.features.meals.present import names_version
from mealshare.features.meals.resources import MealContext, viewer_of
from mealshare.features.reactions.service import LikeService

TAGS = ("comments",)
#: In the examples: one's own comment.
_OWN = {"viewer": {"own": True, "can_edit": True, "can_delete": True}}
_EDITED = {
    "note": "That looks so good!", "note_html": "<p>That looks so good!</p>", "edited_at": "2026-11-20T05:04:00Z",
    "version": 2, **_OWN,
}  # fmt: skip
#: Where an answer that is a comment leads to.
COMMENT_LINKS = (
    Link("api.comment", id="$response.body#/id"),
    Link("api.comment.like", id="$response.body#/id"),
    Link("api.meal", "GET", id="$response.body#/meal_id"),
)


def one_reply(request: Request, comment: CommentRow, **options: Any) -> Reply:
    """One comment with its entity tag."""
    out = comment_out(comment, request.registry["base_url"], request.identity)
    return Reply(out, etag=comment_etag(comment, request.identity), **options)


@api_view(
    route_name="api.meal.comments",
    request_method="GET",
    permission=CommentPermission.LIST,
    context=MealContext,
    query=SortedQuery,
    returns=list[CommentOut],
    paged=True,
    tags=TAGS,
    summary="List the comments on a meal",
    links=(Link("api.comment", "GET", id="$response.body#/0/id"),),
    description="Comments and replies in one list, newest first; in_reply_to_id tells to which comment a reply belongs. "
    "It may name one that is deleted, or that you may not see.",
)
def list_comments(context: MealContext, request: Request, query: SortedQuery) -> Reply:
    """The comments on a meal."""
    page = comments_page(request.conn, context.id, query.window(), viewer_of(request))
    base_url = request.registry["base_url"]
    body = [comment_out(comment, base_url, request.identity) for comment in page.items]
    return Reply(body, headers=page_headers(request, page))


@api_view(
    route_name="api.meal.comments",
    request_method="POST",
    permission=CommentPermission.POST,
    context=MealContext,
    body=CommentInput,
    returns=CommentOut,
    status=201,
    etag=True,
    tags=TAGS,
    errors=("comments_closed",),
    example={"likes_count": 0, **_OWN},
    summary="Comment on a meal",
    links=COMMENT_LINKS,
    description="Comments on a meal that you may see; with `in_reply_to_id` it answers a comment on it. The eater, the "
    "one who is answered and those who are named are told. 409 where the eater wants no (more) comments.",
)
def create_comment(context: MealContext, request: Request, body: CommentInput) -> Reply:
    """Comment on a meal."""
    count_comment(request)
    service = comment_service(request)
    comment = service.post(request.identity.account_id, context.id, body.note, in_reply_to=body.in_reply_to_id)
    headers = [("Location", f"/api/comments/{comment.id}")]
    return one_reply(request, fresh_comment(request, comment.id), status=201, headers=headers)


@api_view(
    route_name="api.comment",
    request_method="GET",
    permission=CommentPermission.VIEW,
    context=CommentContext,
    returns=CommentOut,
    tags=TAGS,
    summary="Read a comment",
    links=COMMENT_LINKS,
    description="One comment; whoever may see the meal may see it. Answers 304 when `If-None-Match` has the current "
    "entity tag.",
)
def read_comment(context: CommentContext, request: Request) -> Any:
    """One comment."""
    etag = comment_etag(context.comment, request.identity)
    return check_not_modified(request, etag) or one_reply(request, context.comment)


@api_view(
    route_name="api.comment",
    request_method="PATCH",
    permission=CommentPermission.EDIT,
    context=CommentContext,
    body=CommentPatch,
    returns=CommentOut,
    tags=TAGS,
    errors=("precondition_failed", "not_yours"),
    etag=True,
    example=_EDITED,
    summary="Change a comment",
    links=COMMENT_LINKS,
    description="Changes the note of your comment by a JSON merge patch (RFC 7396). With `If-Match` only if nobody "
    "changed it since.",
)
def patch_comment(context: CommentContext, request: Request, body: CommentPatch) -> Reply:
    """Change what one's comment says."""
    edit = body.applied_to(_held(context, request).note)
    count_comment(request)
    comment_service(request).edit(context.id, edit.note)
    return one_reply(request, fresh_comment(request, context.id))


@api_view(
    route_name="api.comment",
    request_method="DELETE",
    permission=CommentPermission.DELETE,
    context=CommentContext,
    status=204,
    tags=TAGS,
    errors=("precondition_failed", "not_yours"),
    summary="Delete a comment",
    description="Deletes your own comment, or one on your own meal. Its replies stay. It cannot be undone.",
)
def delete_comment(context: CommentContext, request: Request) -> None:
    """Delete a comment."""
    version = _seen(request, context.comment)
    comment_service(request).delete(context.id, context.comment.meal_id, version=version)


@api_view(
    route_name="api.comment.like",
    request_method="PUT",
    permission=CommentPermission.LIKE,
    context=CommentContext,
    status=204,
    tags=TAGS,
    summary="Like a comment",
    description="Its author is told. Doing it twice changes nothing.",
)
def like_comment(context: CommentContext, request: Request) -> None:
    """Like."""
    LikeService(request.work).like(request.identity.account_id, context.id)


@api_view(
    route_name="api.comment.like",
    request_method="DELETE",
    permission=CommentPermission.LIKE,
    context=CommentContext,
    status=204,
    tags=TAGS,
    summary="Take the like of a comment back",
    description="The author is no longer told of it. Doing it twice changes nothing.",
)
def unlike_comment(context: CommentContext, request: Request) -> None:
    """Take the like back."""
    LikeService(request.work).unlike(request.identity.account_id, context.id)


def _held(context: CommentContext, request: Request) -> CommentRow:
    """The comment as it is now, which nobody else changes before this request is done; raises PreconditionFailed."""
    if comment_entity(request.db, context.id) is None:
        raise NotFound
    comment = fresh_comment(request, context.id)
    _seen(request, comment)
    return comment


def _seen(request: Request, comment: CommentRow) -> int | None:
    """The version that the client has seen, if it says so; raises PreconditionFailed for another one."""
    header = request.environ.get("HTTP_IF_MATCH")
    if header is None:
        return None
    if not names_version(header, comment.version):
        raise PreconditionFailed
    return comment.version
