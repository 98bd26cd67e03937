"""The HTML face of comments."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from mealshare.core.errors import Conflict, FieldError, InputInvalid, NotFound, PreconditionFailed, TooMany
from mealshare.core.i18n import _
from mealshare.core.security.redirects import safe_next
from mealshare.features.comments.factory import comment_service, count_comment, fresh_comment
from mealshare.features.comments.html import (
    comment_form,
    comments_action,
    comments_panel,
    like_button,
    page_values,
    place_of,
)
from mealshare.features.comments.models import Comment
from mealshare.features.comments.queries import is_far_back
from mealshare.features.comments.resources import CommentContext
from mealshare.features.comments.rules import CommentPermission
from mealshare.features.comments.schemas import CommentEdit, CommentInput
from mealshare.features.meals.html import meal_title
from mealshare.features.meals.queries import card_by_id
from mealshare.features.meals.resources import MealContext, viewer_of
from mealshare.features.reactions.service import LikeService
from mealshare.web.forms import Form
from mealshare.web.ui import Ui

PAGE = "mealshare.features.comments:templates/comments.pt"


@view_config(route_name="meal.comments", request_method="GET", context=MealContext, permission=CommentPermission.LIST)
def comments(context: MealContext, request: Request) -> HTTPSeeOther:
    """The comments stand below the meal."""
    return HTTPSeeOther(f"{_path(context)}#comments")


@view_config(route_name="meal.comments", request_method="POST", context=MealContext, permission=CommentPermission.POST)
def post(context: MealContext, request: Request) -> Response:
    """Comment on the meal, or answer a comment; the query says which page of the conversation the form stood on."""
    form = comment_form(request)
    comment = _post(context, request, form)
    if comment is None:
        return _refused(context, request, form)
    if _by_htmx(request):
        return _panel(context, request)
    query = f"?{request.query_string}" if request.query_string else ""
    return HTTPSeeOther(safe_next(f"{_path(context)}{query}", _path(context)) + f"#comment-{comment.id}")


@view_config(
    route_name="meal.comments.close", request_method="POST", context=MealContext, permission=CommentPermission.CLOSE
)
def close(context: MealContext, request: Request) -> Response:
    """Close the comments, or open them again."""
    comment_service(request).set_closed(context.id, "undo" not in request.POST)
    return _panel(context, request) if _by_htmx(request) else HTTPSeeOther(f"{_path(context)}#comments")


@view_config(route_name="meal", request_method="GET", context=CommentContext, permission=CommentPermission.VIEW)
@view_config(route_name="meal.uri", request_method="GET", context=CommentContext, permission=CommentPermission.VIEW)
def show(context: CommentContext, request: Request) -> HTTPSeeOther:
    """The address of a comment leads to its thread on the page of the meal."""
    return HTTPSeeOther(place_of(context.comment, far_back=is_far_back(request.conn, context.comment)))


@view_config(
    route_name="meal.edit", request_method="GET", context=CommentContext, permission=CommentPermission.EDIT,
    renderer="templates/edit.pt",
)  # fmt: skip
def edit(context: CommentContext, request: Request) -> dict[str, Any]:
    """The form with what the comment says."""
    return page_values(request, context.comment, form=_edit_form(context, request))


@view_config(
    route_name="meal.edit", request_method="POST", context=CommentContext, permission=CommentPermission.EDIT,
    renderer="templates/edit.pt",
)  # fmt: skip
def save(context: CommentContext, request: Request) -> Any:
    """Save what was changed; if another window was quicker, show the form again."""
    form = _edit_form(context, request)
    change = form.validate()
    if change is None or not _save(context, request, form, change):
        return page_values(request, context.comment, form=form)
    request.flash(_("Saved."))
    return HTTPSeeOther(place_of(context.comment))


@view_config(
    route_name="meal.delete", request_method="GET", context=CommentContext, permission=CommentPermission.DELETE,
    renderer="templates/delete.pt",
)  # fmt: skip
def ask_delete(context: CommentContext, request: Request) -> dict[str, Any]:
    """Is that really meant?"""
    return page_values(request, context.comment)


@view_config(
    route_name="meal.delete", request_method="POST", context=CommentContext, permission=CommentPermission.DELETE
)
def delete(context: CommentContext, request: Request) -> HTTPSeeOther:
    """Delete the comment."""
    comment = context.comment
    comment_service(request).delete(comment.id, comment.meal_id)
    request.flash(_("The comment is deleted."))
    return HTTPSeeOther(f"/@{comment.meal_username}/{comment.meal_id}#comments")


@view_config(
    route_name="comment.like", request_method="POST", context=CommentContext, permission=CommentPermission.LIKE
)
def like(context: CommentContext, request: Request) -> Response:
    """Like the comment, or take it back, and return to where the button was."""
    service = LikeService(request.work)
    change = service.unlike if "undo" in request.POST else service.like
    change(request.identity.account_id, context.id)
    back = safe_next(request.POST.get("next"), place_of(context.comment))
    if _by_htmx(request):
        return Response(like_button(Ui.of(request), fresh_comment(request, context.id), back))
    return HTTPSeeOther(f"{back.partition('#')[0]}#comment-{context.id}")


def _post(context: MealContext, request: Request, form: Form[CommentInput]) -> Comment | None:
    """Post what the form says; None, and the form knows why, where that cannot be."""
    body = form.validate()
    if body is None:
        return None
    try:
        count_comment(request)
        service = comment_service(request)
        return service.post(request.identity.account_id, context.id, body.note, in_reply_to=body.in_reply_to_id)
    except InputInvalid as invalid:
        form.fail_with(invalid)
    except (Conflict, TooMany) as error:
        # Not an error page: the words that were typed come back.
        form.fail(FieldError("note", error.code, error.params))
        request.response.status_int = error.status
    return None


def _save(context: CommentContext, request: Request, form: Form[CommentEdit], change: CommentEdit) -> bool:
    seen = str(form.value("version"))
    version = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 10 else context.comment.version
    try:
        count_comment(request)
        comment_service(request).edit(context.id, change.note, version=version)
    except PreconditionFailed:
        # The next attempt says that it has seen the newer version.
        form.values["version"] = context.comment.version
        form.fail(FieldError("note", "comment_edited_elsewhere"))
    except TooMany as error:
        form.fail(FieldError("note", error.code, error.params))
        request.response.status_int = error.status
    return not form.errors


def _edit_form(context: CommentContext, request: Request) -> Form[CommentEdit]:
    comment = context.comment
    return Form(request, CommentEdit, {"note": comment.note, "version": comment.version})


def _refused(context: MealContext, request: Request, form: Form[CommentInput]) -> Response:
    """The form again, with what was typed: the part of the page, or a page of its own."""
    if _by_htmx(request):
        return _panel(context, request, form)
    panel = comments_panel(request, context.card, form)
    values = {"panel": panel, "title": meal_title(context.card, Ui.of(request)), "path": _path(context)}
    return render_to_response(PAGE, values, request=request, response=request.response)


def _panel(context: MealContext, request: Request, form: Form[CommentInput] | None = None) -> Response:
    """The conversation as it is now, and how many comments there are, for the card above."""
    card = context.card if form is not None else card_by_id(request.conn, context.id, viewer_of(request))
    if card is None:
        raise NotFound
    request.response.text = f"{comments_panel(request, card, form)}{comments_action(Ui.of(request), card)}"
    return request.response


def _by_htmx(request: Request) -> bool:
    return "HX-Request" in request.headers


def _path(context: MealContext) -> str:
    return f"/@{context.card.username}/{context.id}"
