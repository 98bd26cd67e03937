"""The addresses of the pictures themselves, and the form for one's avatar."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from mealshare.core.errors import DomainError, InputInvalid, NotFound
from mealshare.core.i18n import _
from mealshare.core.security.permissions import CorePermission
from mealshare.core.settings import settings_of
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.media.avatars import AvatarService, make_avatar
from mealshare.features.media.delivery import DELIVERY, Delivery, Picture
from mealshare.features.media.files import avatar_file, variant_file
from mealshare.features.media.queries import BASKET_COOKIE, shown_media
from mealshare.features.media.settings import MediaSettings
from mealshare.features.media.uploads import count_uploads, read_file
from mealshare.web.ui import error_text

PROFILE = "/settings/profile"


@view_config(route_name="media.file", request_method="GET", permission=CorePermission.PUBLIC)
def show_picture(context: Any, request: Request) -> Response:
    """A variant of a picture, for those who may see its meal; for the others there is none."""
    key, edge = request.matchdict["key"], int(request.matchdict["edge"])
    viewer = ANONYMOUS if request.identity is None else request.identity.account_id
    token = request.registry["cookies"].get(request, BASKET_COOKIE)
    media_id = shown_media(request.conn, key, viewer, token)
    if media_id is None:
        raise NotFound
    return _send(request, Picture(variant_file(key, edge), f"{media_id}-{edge}.webp", f'"{key}-{edge}"'))


@view_config(route_name="avatar.file", request_method="GET", permission=CorePermission.PUBLIC)
def show_avatar(context: Any, request: Request) -> Response:
    """Somebody's avatar."""
    key = request.matchdict["key"]
    return _send(request, Picture(avatar_file(key), "avatar.webp", f'"{key}"', public=True))


@view_config(route_name="avatar.form", request_method="POST", permission=CorePermission.BROWSER_SESSION)
def change_avatar(context: Any, request: Request) -> HTTPSeeOther:
    """Set one's avatar, or go without one; what is wrong with the file is told on the page with the form."""
    try:
        request.flash(_remove(request) if "remove" in request.POST else _set(request))
    except InputInvalid as invalid:
        error = invalid.errors[0]
        request.flash(error_text(request, error.code, error.params), "error")
    except DomainError as refused:
        request.flash(error_text(request, refused.code, refused.params), "error")
    return HTTPSeeOther(PROFILE)


def avatar_values(request: Request) -> dict[str, Any]:
    """What the avatar form in the settings needs."""
    settings = settings_of(request.registry, MediaSettings)
    return {
        "identity": request.identity,
        "accept": ",".join(settings.types),
        "megabytes": settings.max_bytes // 1_000_000,
        "megapixels": f"{settings.max_pixels / 1_000_000:g}",
    }


def _set(request: Request) -> str:
    settings = settings_of(request.registry, MediaSettings)
    data = read_file(request.POST.get("avatar"), settings, "avatar")
    count_uploads(request)
    avatar = make_avatar(data, settings, "avatar")
    AvatarService(request.work, request.registry["storage"]).set(request.identity.account_id, avatar)
    done: str = _("Your new picture is there.")
    return done


def _remove(request: Request) -> str:
    AvatarService(request.work, request.registry["storage"]).remove(request.identity.account_id)
    done: str = _("Your picture is removed.")
    return done


def _send(request: Request, picture: Picture) -> Response:
    delivery: Delivery = request.registry[DELIVERY]
    return delivery.answer(request, picture)
