"""Pages on which people settle their own things: the profile, the password, what is signed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core import clock
from mealshare.core.dates import zone_choices
from mealshare.core.errors import InputInvalid, NotFound
from mealshare.core.i18n import ENDONYMS, _, to_bcp47
from mealshare.core.security.permissions import CorePermission
from mealshare.core.validation import validate
from mealshare.features.accounts import queries, queries_access
from mealshare.features.accounts.devices import Device, describe
from mealshare.features.accounts.entry import leave, renew
from mealshare.features.accounts.factory import (
    account_service,
    auth_settings,
    client_of,
    new_passwords,
    password_service,
    session_service,
    token_service,
)
from mealshare.features.accounts.schemas import EndForm, PasswordForm, ProfilePatch
from mealshare.features.accounts.service_sessions import end_devices
from mealshare.web.forms import Form

BROWSER = CorePermission.BROWSER_SESSION
PROFILE_FIELDS = ("display_name", "bio", "locale", "time_zone")


@dataclass(frozen=True)
class SignedInDevice:
    """A browser or a program that is signed in, as the page shows it."""

    kind: str
    row: queries_access.AccessRow
    device: Device
    current: bool


@view_config(route_name="settings", request_method="GET", permission=BROWSER)
def settings(context: Any, request: Request) -> HTTPSeeOther:
    """The first of the pages."""
    return HTTPSeeOther("/settings/profile")


@view_config(route_name="settings.profile", request_method="GET", renderer="templates/profile.pt", permission=BROWSER)
def profile_form(context: Any, request: Request) -> dict[str, Any]:
    """The form with one's profile."""
    profile = _profile(request)
    initial = {
        "display_name": profile.person.display_name,
        "bio": profile.person.bio,
        "locale": profile.locale or "",
        "time_zone": profile.time_zone,
    }
    return _profile_page(Form(request, ProfilePatch, initial), request)


@view_config(route_name="settings.profile", request_method="POST", renderer="templates/profile.pt", permission=BROWSER)
def change_profile(context: Any, request: Request) -> Any:
    """Save the profile."""
    form = Form(request, ProfilePatch)
    given = form.validate()
    if given is None:
        return _profile_page(form, request)
    # A field that was sent empty is not among the validated ones, and means that its value goes.
    changes = {name: getattr(given, name) for name in PROFILE_FIELDS if name in form.values}
    account_service(request).change_profile(request.identity.account_id, changes)
    request.flash(_("Your profile is saved."))
    return HTTPSeeOther("/settings/profile")


@view_config(route_name="settings.password", request_method="GET", renderer="templates/password.pt", permission=BROWSER)
def password_form(context: Any, request: Request) -> dict[str, Any]:
    """The form to change the password."""
    return {"form": Form(request, PasswordForm), "page": "password"}


@view_config(
    route_name="settings.password",
    request_method="POST",
    renderer="templates/password.pt",
    permission=BROWSER,
    limit=None,
)
def change_password(context: Any, request: Request) -> Any:
    """Change the password; everything else that is signed in is signed out."""
    form = Form(request, PasswordForm)
    given = form.validate()
    try:
        if given is not None:
            return _set_password(request, given)
    except InputInvalid as invalid:
        form.fail_with(invalid)
    return {"form": form, "page": "password"}


def _set_password(request: Request, given: PasswordForm) -> HTTPSeeOther:
    account_id = request.identity.account_id
    address = client_of(request).address
    person, new_hash = new_passwords(request).for_owner(account_id, given.current_password, given.new_password, address)
    password_service(request).change(person, new_hash)
    renew(request, account_id)
    request.flash(_("Your password is changed. All other devices are signed out, and your tokens have ended."))
    return HTTPSeeOther("/settings/password")


@view_config(route_name="settings.sessions", request_method="GET", renderer="templates/sessions.pt", permission=BROWSER)
def sessions(context: Any, request: Request) -> dict[str, Any]:
    """What is signed in: browsers and programs, this browser first."""
    me, now, auth = request.identity, clock.now(), auth_settings(request)
    browsers = queries_access.sessions_of(request.conn, me.account_id, now, now - auth.session_idle)
    programs = queries_access.grants_of(request.conn, me.account_id, now, now - auth.refresh_idle)
    devices = _devices("session", browsers, me.session_id) + _devices("grant", programs, None)
    return {"devices": sorted(devices, key=lambda device: not device.current), "page": "sessions"}


@view_config(route_name="settings.sessions.end", request_method="POST", permission=BROWSER, limit=None)
def end_session(context: Any, request: Request) -> HTTPSeeOther:
    """Sign one of them out; this browser too, if it is that one."""
    posted = {name: request.POST.get(name) for name in ("kind", "id")}
    which, me = validate(EndForm, posted), request.identity
    if which.kind == "session" and which.id == me.session_id:
        leave(request)
        return HTTPSeeOther("/")
    service = session_service(request).end if which.kind == "session" else token_service(request).revoke
    if not service(me.account_id, which.id):
        raise NotFound
    request.flash(_("That device is signed out."))
    return HTTPSeeOther("/settings/sessions")


@view_config(route_name="settings.sessions.end_others", request_method="POST", permission=BROWSER, limit=None)
def end_other_sessions(context: Any, request: Request) -> HTTPSeeOther:
    """Sign everything out but this browser."""
    end_devices(request.work, request.identity.account_id, keep=request.identity.session_id)
    request.flash(_("All other devices are signed out."))
    return HTTPSeeOther("/settings/sessions")


def _profile(request: Request) -> queries.Profile:
    profile = queries.profile(request.conn, request.identity.account_id)
    if profile is None:
        raise NotFound
    return profile


def _profile_page(form: Form[ProfilePatch], request: Request) -> dict[str, Any]:
    return {
        "form": form,
        "page": "profile",
        "locales": [(code, to_bcp47(code), name) for code, name in ENDONYMS.items()],
        "zones": zone_choices(request.locale_name, form.value("time_zone") or request.identity.time_zone),
    }


def _devices(kind: str, rows: Sequence[queries_access.AccessRow], current: int | None) -> list[SignedInDevice]:
    return [SignedInDevice(kind, row, describe(row.user_agent), row.id == current) for row in rows]
