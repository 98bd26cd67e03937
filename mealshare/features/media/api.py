"""The JSON face of pictures: upload one, see how far it is, describe it, remove it; and one's avatar."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request

from mealshare.api import Reply, api_view, check_not_modified, etag_of, require_match
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
REFUSALS = (
    "picture_too_large", "picture_unsupported_type", "picture_heic_not_supported", "unsupported_media_type", "invalid",
    "storage_full",
)  # fmt: skip


@api_view(
    route_name="api.media", request_method="POST", permission=MediaPermission.UPLOAD, multipart=MediaUpload,
    returns=MediaOut, status=202, tags=TAGS, errors=REFUSALS, summary="Upload a picture",
    description="The answer comes at once; the picture is ready a moment later: ask for `Location` until `state` is no"
    " longer `processing`.  A meal may name it at once.  One that no meal names within a day is removed.",
)  # fmt: skip
def upload_media(context: Any, request: Request, form: MediaUpload) -> Reply:
    """Upload a picture for a meal."""
    count_uploads(request)
    data = read_file(form.file, settings_of(request.registry, MediaSettings))
    row = _service(request).upload(data, account_id=request.identity.account_id, description=form.description)
    return _reply(request, row, status=202, headers=[("Location", f"/api/media/{row['id']}")])


@api_view(
    route_name="api.media.item", request_method="GET", permission=MediaPermission.VIEW, context=MediaItem,
    returns=MediaOut, tags=TAGS, summary="See how far a picture is",
    description="Your own pictures only.  `state` goes from `processing` to `ready`, or to `failed` with an `error`.",
)  # fmt: skip
def read_media(context: MediaItem, request: Request) -> Any:
    """One's own picture."""
    return check_not_modified(request, _etag(context.row)) or _reply(request, context.row)


@api_view(
    route_name="api.media.item", request_method="PATCH", permission=MediaPermission.EDIT, context=MediaItem,
    body=MediaPatch, returns=MediaOut, tags=TAGS, errors=("precondition_failed", "invalid"),
    summary="Describe a picture", description="A JSON merge patch (RFC 7396) of your own picture.",
)  # fmt: skip
def describe_media(context: MediaItem, request: Request, body: MediaPatch) -> Reply:
    """Change the words for one's own picture."""
    require_match(request, _etag(context.row))
    row = context.row
    if "description" in body.model_fields_set:
        row = _service(request).describe(context.account_id, context.id, body.description or "")
    return _reply(request, row)


@api_view(
    route_name="api.media.item", request_method="DELETE", permission=MediaPermission.EDIT, context=MediaItem,
    status=204, tags=TAGS, errors=("precondition_failed", "conflict"), summary="Remove a picture",
    description="Your own picture, also one that a meal shows; not one without which the meal would be empty.",
)  # fmt: skip
def remove_media(context: MediaItem, request: Request) -> None:
    """Remove one's own picture."""
    require_match(request, _etag(context.row))
    _service(request).remove(context.account_id, context.id)


@api_view(
    route_name="api.user.avatar", request_method="PUT", permission=MediaPermission.EDIT_AVATAR, multipart=AvatarUpload,
    returns=AvatarOut, tags=("users",), errors=REFUSALS, summary="Set your picture",
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
    tags=("users",), summary="Remove your picture",
)  # fmt: skip
def remove_avatar(context: Any, request: Request) -> None:
    """Go without an avatar."""
    AvatarService(request.work, request.registry["storage"]).remove(request.identity.account_id)


def _service(request: Request) -> MediaService:
    return media_service(request.work, request.registry)


def _reply(request: Request, row: MediaRow, **options: Any) -> Reply:
    return Reply(media_out(row, request.registry["base_url"]), etag=_etag(row), **options)


def _etag(row: MediaRow) -> str:
    """What else goes out never changes once the state has."""
    return etag_of(row["id"], row["state"], row["description"])
