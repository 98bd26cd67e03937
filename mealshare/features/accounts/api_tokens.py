"""What lets somebody in, over JSON: personal tokens, the devices that are signed in, the password.

All of it takes a sign-in, with a browser or with a program: a personal token is refused (`no_personal_token`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pyramid.request import Request

from mealshare.api import NO_ETAG, Link, PagedQuery, Reply, api_view, page_headers, require_current
from mealshare.core import clock
from mealshare.core.errors import NotFound
from mealshare.core.ids import parse_id
from mealshare.core.security.identity import AuthMethod, Identity
from mealshare.features.accounts import queries_access
from mealshare.features.accounts.devices import describe
from mealshare.features.accounts.entry import leave, renew
from mealshare.features.accounts.factory import (
    auth_settings,
    client_of,
    new_passwords,
    password_service,
    personal_token_service,
    session_service,
    token_service,
)
from mealshare.features.accounts.present import device_out, new_token_out, personal_token_out, tokens_out
from mealshare.features.accounts.rules import AccountPermission, scopes_for
from mealshare.features.accounts.schemas import PasswordInput, TokenInput
from mealshare.features.accounts.schemas_out import DeviceOut, NewPersonalTokenOut, PasswordChangedOut, PersonalTokenOut
from mealshare.features.accounts.service_personal import Wanted
from mealshare.features.accounts.service_sessions import end_devices

#: RFC 6749, 5.1: an answer with tokens in it is kept nowhere.
NO_STORE = (("Cache-Control", "no-store"),)
TOKENS, DEVICES = ("tokens",), ("devices",)
SIGN_IN = ("no_personal_token",)
#: What is common to all that ends something: whoever has used up the limit for changes must still be able to.
END: dict[str, Any] = {"request_method": "DELETE", "limit": "api", "status": 204}
LIST: dict[str, Any] = {"request_method": "GET", "query": PagedQuery, "paged": True, "errors": SIGN_IN}


@api_view(
    route_name="api.tokens",
    permission=AccountPermission.LIST_TOKENS,
    returns=list[PersonalTokenOut],
    tags=TOKENS,
    links=(Link("api.tokens.item", id="$response.body#/0/id"),),
    summary="List your personal tokens",
    description="Newest first; those that have expired stay in the list for 30 days. The tokens themselves are not in "
    "it: each is shown once, to whoever makes it. Takes a browser or a program that signed in.",
    **LIST,
)
def list_tokens(context: Any, request: Request, query: PagedQuery) -> Reply:
    """The personal tokens of whoever asks."""
    page = queries_access.tokens_of(request.conn, request.identity.account_id, query.window())
    return Reply(list(map(personal_token_out, page.items)), headers=page_headers(request, page))


@api_view(
    route_name="api.tokens",
    request_method="POST",
    permission=AccountPermission.CHANGE_TOKENS,
    body=TokenInput,
    returns=NewPersonalTokenOut,
    status=201,
    keep_answer=False,
    tags=TOKENS,
    errors=(*SIGN_IN, "too_many_tokens"),
    links=(Link("api.tokens.item", id="$response.body#/id"),),
    summary="Make a personal token",
    description="A token for a program of your own, which it sends as `Authorization: Bearer`. It may have only scopes "
    "that whoever asks has too. Keep `token` now: the site stores only its hash. A token begins with `msp_`, which is "
    "what secret scanners look for: `msp_[A-Za-z0-9_-]{43}`. It ends when it expires, when it is revoked, and when "
    "your password changes.",
)
def make_token(context: Any, request: Request, body: TokenInput) -> Reply:
    """Make one."""
    me, wanted = request.identity, Wanted(body.name, body.scopes, body.expires_at)
    service = personal_token_service(request)
    new = service.create(me.account_id, wanted, allowed=scopes_of(me), by=me.session_id)
    return Reply(new_token_out(new), headers=(*NO_STORE, ("Location", f"/api/tokens/{new.row.id}")))


@api_view(
    route_name="api.tokens",
    permission=AccountPermission.CHANGE_TOKENS,
    tags=TOKENS,
    errors=SIGN_IN,
    summary="Revoke all personal tokens",
    description="At once. Doing it twice changes nothing.",
    **END,
)
def revoke_tokens(context: Any, request: Request) -> None:
    """End all of them."""
    personal_token_service(request).revoke_all(request.identity.account_id)


@api_view(
    route_name="api.tokens.item",
    request_method="GET",
    permission=AccountPermission.LIST_TOKENS,
    returns=PersonalTokenOut,
    tags=TOKENS,
    errors=SIGN_IN,
    summary="Show a personal token",
    description="Its name, scopes, end and last use. The token itself cannot be shown again.",
)
def show_token(context: Any, request: Request) -> PersonalTokenOut:
    """One of them."""
    token = queries_access.token_of(request.conn, request.identity.account_id, id_in(request))
    if token is None:
        raise NotFound
    return personal_token_out(token)


@api_view(
    route_name="api.tokens.item",
    permission=AccountPermission.CHANGE_TOKENS,
    tags=TOKENS,
    errors=(*SIGN_IN, "precondition_failed"),
    summary="Revoke a personal token",
    description="At once: the next request with it is 401 `token_unknown`.",
    **END,
)
def revoke_token(context: Any, request: Request) -> None:
    """End one of them."""
    if "HTTP_IF_MATCH" in request.environ:
        require_current(request, show_token(context, request))
    if not personal_token_service(request).revoke(request.identity.account_id, id_in(request)):
        raise NotFound


@api_view(
    route_name="api.devices",
    permission=AccountPermission.LIST_DEVICES,
    returns=list[DeviceOut],
    tags=DEVICES,
    links=(Link("api.device", id="$response.body#/0/id"),),
    summary="List what is signed in",
    description="Browsers and programs, the one that signed in last first. Personal tokens are a list of their own.",
    **LIST,
)
def list_devices(context: Any, request: Request, query: PagedQuery) -> Reply:
    """Browsers and programs."""
    me, now, auth = request.identity, clock.now(), auth_settings(request)
    page = queries_access.devices_of(
        request.conn, me.account_id, query.window(), now, now - auth.session_idle, now - auth.refresh_idle
    )
    devices = [
        device_out(device, request.translate(describe(device.user_agent).words), me.session_id) for device in page.items
    ]
    return Reply(devices, headers=page_headers(request, page))


@api_view(
    route_name="api.devices",
    permission=AccountPermission.END_DEVICES,
    tags=DEVICES,
    errors=SIGN_IN,
    summary="Sign out everywhere else",
    description="Ends all but the one that asks. Links to set a new password end as well; personal tokens do not.",
    **END,
)
def end_other_devices(context: Any, request: Request) -> None:
    """Sign all others out."""
    end_devices(request.work, request.identity.account_id, keep=request.identity.session_id)


@api_view(
    route_name="api.device",
    permission=AccountPermission.END_DEVICES,
    tags=DEVICES,
    errors=SIGN_IN,
    summary="Sign a device out",
    description="At once, with all its tokens. The one that asks may end itself as well.",
    **END,
)
def end_device(context: Any, request: Request) -> None:
    """Sign one of them out."""
    me, id = request.identity, id_in(request)
    if me.method is AuthMethod.SESSION and me.session_id == id:
        leave(request)
    elif not (session_service(request).end(me.account_id, id) or token_service(request).revoke(me.account_id, id)):
        raise NotFound


@api_view(
    route_name="api.user.password",
    request_method="PUT",
    permission=AccountPermission.CHANGE_SIGN_IN,
    limit="api",
    body=PasswordInput,
    returns=PasswordChangedOut,
    keep_answer=False,
    tags=("accounts",),
    errors=(*SIGN_IN, "rate_limited"),
    summary="Change your password",
    description="Takes the current one, and guessing it is limited as at a login. Everything that was signed in ends, "
    "personal tokens and links to set a new password included. The one that asks goes on: a program with the new pair "
    "of tokens in the answer, which has the scopes of the old one; a browser with a new cookie. A mail tells the owner.",
)
def change_password(context: Any, request: Request, body: PasswordInput) -> Reply:
    """Change one's own password."""
    me, client = request.identity, client_of(request)
    # Two statements: made first, the service would have the hash made inside its transaction.
    change = new_passwords(request).for_owner(me.account_id, body.current_password, body.new_password, client.address)
    password_service(request).change(*change)
    if me.method is AuthMethod.SESSION:
        renew(request, me.account_id)
        return Reply(PasswordChangedOut(None), headers=NO_STORE, etag=NO_ETAG)
    # Read again, because the generation is another one now.
    person = queries_access.credentials_of(request.conn, me.account_id)
    if person is None:
        raise NotFound
    pair = token_service(request).grant(person, client, me.scopes)
    return Reply(PasswordChangedOut(tokens_out(pair)), headers=NO_STORE, etag=NO_ETAG)


def scopes_of(identity: Identity) -> Collection[str]:
    """What whoever asks may hand on: of a token its own scopes, of a browser all that the person has."""
    return identity.scopes if identity.method is AuthMethod.BEARER else scopes_for(identity.role)


def id_in(request: Request) -> int:
    """The id in the address; raises NotFound for what is none."""
    try:
        return parse_id(request.matchdict["id"])
    except ValueError:
        raise NotFound from None
