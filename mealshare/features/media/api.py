"""The JSON face of pictures: upload one, see how far it is, describe it, remove it; and one's avatar."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request

from mealshare.api import Link, Reply, api_view, check_not_modified, etag_of, require_match
from mealshare.core.settings import settings_of
from mealshare.features.media.avatars import AvatarService, make_avatar
from mealshare.features.media.factory import media_service
from mealshare.features.media.queries import MediaRow
from mealshare.features.media.resources import MediaItem
from mealshare.features.media.rules import MediaPermission
from mealshare.features.media.schemas import AvatarOut, AvatarUpload, MediaOut, MediaPatch, MediaUpload
from mealshare.features.media.service import MediaService
from mealshare.features.media.settings import MediaSettings
from mealshare.features.media.uploads import count_uploads, read_file
from mealshare.features.media.urls import avatar_url, media_out

TAGS = ("media",)
#: Where an answer that is a picture leads to.
MEDIA_LINKS = (Link("api.media.item", id="$response.body#/id"),)
#: What an upload is answered with.
_PROCESSING = {
    "id": "117653443951375596", "type": "image", "url": None, "preview_url": None, "description": "A bowl of mapo tofu.",
    "blurhash": None, "width": None, "height": None, "state": "processing", "error": None,
}  # fmt: skip
REFUSALS = ("picture_too_large", "picture_unsupported_type", "picture_heic_not_supported")


@api_view(
    route_name="api.media", request_method="POST", permission=MediaPermission.UPLOAD, multipart=MediaUpload,
    returns=MediaOut, status=202, etag=True, tags=TAGS, errors=REFUSALS, summary="Upload a picture",
    example=_PROCESSING, links=MEDIA_LINKS,
    description="Takes a picture for a meal and answers at once; its variants are ready a moment later: ask for"
    " `Location` until `state` is no longer `processing`. A meal may name it at once. One that no meal names within a"
    " day is removed. What the file says of place, time and camera is removed, and it is turned upright. `GET"
    " /api/instance` tells the types and sizes that are taken.",
)  # fmt: skip
def upload_media(context: Any, request: Request, form: MediaUpload) -> Reply:
    """Upload a picture for a meal."""
    count_uploads(request)
    data = read_file(form.file, settings_of(request.registry, MediaSettings))
    row = _service(request).upload(data, account_id=request.identity.account_id, description=form.description)
    return _reply(request, row, status=202, headers=[("Location", f"/api/media/{row['id']}")])


@api_view(
    route_name="api.media.item", request_method="GET", permission=MediaPermission.VIEW, context=MediaItem,
    returns=MediaOut, tags=TAGS, summary="Show a picture of yours", links=MEDIA_LINKS,
    description="Tells how far your own picture is; those of others are not found. `state` goes from `processing` to"
    " `ready`, or to `failed` with an `error`.",
)  # fmt: skip
def read_media(context: MediaItem, request: Request) -> Any:
    """One's own picture."""
    return check_not_modified(request, _etag(context.row)) or _reply(request, context.row)


@api_view(
    route_name="api.media.item", request_method="PATCH", permission=MediaPermission.EDIT, context=MediaItem,
    body=MediaPatch, returns=MediaOut, tags=TAGS, errors=("precondition_failed",), etag=True,
    summary="Describe a picture", links=MEDIA_LINKS,
    description="Says what your own picture shows, for those who cannot see it; a JSON merge patch (RFC 7396). A meal"
    " that shows it changes along.",
)  # fmt: skip
def describe_media(context: MediaItem, request: Request, body: MediaPatch) -> Reply:
    """Change the words for one's own picture."""
    service, row = _held(context, request)
    if "description" in body.model_fields_set:
        row = service.describe(context.account_id, context.id, body.description or "")
    return _reply(request, row)


@api_view(
    route_name="api.media.item", request_method="DELETE", permission=MediaPermission.EDIT, context=MediaItem,
    status=204, tags=TAGS, errors=("precondition_failed", "last_picture"), summary="Remove a picture",
    description="Deletes your own picture, also one that a meal shows; but not one without which the meal would be"
    " empty (409). It cannot be undone.",
)  # fmt: skip
def remove_media(context: MediaItem, request: Request) -> None:
    """Remove one's own picture."""
    service, _ = _held(context, request)
    service.remove(context.account_id, context.id)


@api_view(
    route_name="api.user.avatar", request_method="PUT", permission=MediaPermission.EDIT_AVATAR, multipart=AvatarUpload,
    returns=AvatarOut, tags=("accounts",), errors=REFUSALS, summary="Set your avatar",
    description="The square in the middle of the uploaded picture becomes your avatar.",
)  # fmt: skip
def set_avatar(context: Any, request: Request, form: AvatarUpload) -> AvatarOut:
    """Set one's avatar."""
    count_uploads(request)
    settings = settings_of(request.registry, MediaSettings)
    avatar = make_avatar(read_file(form.file, settings), settings)
    key = AvatarService(request.work, request.registry["storage"]).set(request.identity.account_id, avatar)
    return AvatarOut(avatar_url(request.registry["base_url"], key))


@api_view(
    route_name="api.user.avatar", request_method="DELETE", permission=MediaPermission.EDIT_AVATAR, status=204,
    tags=("accounts",), summary="Remove your avatar",
    description="Goes back to no picture of yourself. Doing it twice changes nothing.",
)  # fmt: skip
def remove_avatar(context: Any, request: Request) -> None:
    """Go without an avatar."""
    AvatarService(request.work, request.registry["storage"]).remove(request.identity.account_id)


def _held(context: MediaItem, request: Request) -> tuple[MediaService, MediaRow]:
    """The service, and the picture: with ``If-Match`` as it is now, which nobody else changes before this is done.

    The context was read before that: between then and now somebody may have been quicker.  Raises PreconditionFailed.
    """
    service, row = _service(request), context.row
    if "HTTP_IF_MATCH" in request.environ:
        row = service.hold(context.account_id, context.id)
        require_match(request, _etag(row))
    return service, row


def _service(request: Request) -> MediaService:
    return media_service(request.work, request.registry)


def _reply(request: Request, row: MediaRow, **options: Any) -> Reply:
    return Reply(media_out(row, request.registry["base_url"]), etag=_etag(row), **options)


def _etag(row: MediaRow) -> str:
    """What else goes out never changes once the state has."""
    return etag_of(row["id"], row["state"], row["description"])
