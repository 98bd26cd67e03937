"""Accounts over JSON: register, sign in and out, refresh, profiles."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request

from mealshare.api import Link, Reply, api_view, etag_of, require_match
from mealshare.core.errors import DomainError, NotFound
from mealshare.core.security.identity import AuthMethod
from mealshare.core.security.permissions import CorePermission
from mealshare.features.accounts import queries
from mealshare.features.accounts.entry import leave
from mealshare.features.accounts.factory import (
    account_service,
    auth_settings,
    client_of,
    password_check,
    password_service,
    personal_token_service,
    registration,
    token_service,
)
from mealshare.features.accounts.present import login_out, person_out, profile_out, tokens_out
from mealshare.features.accounts.resources import PersonContext, Users, viewer_of
from mealshare.features.accounts.rules import AccountPermission
from mealshare.features.accounts.schemas import LoginInput, ProfilePatch, RefreshInput, RegisterInput
from mealshare.features.accounts.schemas_out import LoginOut, PersonOut, ProfileOut, TokensOut
from mealshare.features.accounts.service_registration import Application
from mealshare.features.accounts.service_tokens import RefreshRefused, TokenService

PUBLIC = CorePermission.PUBLIC
#: RFC 6749, 5.1: an answer with tokens in it is kept nowhere.
NO_STORE = (("Cache-Control", "no-store"),)
JWKS_SECONDS = 300
#: In the examples: one's own profile.
_OWN = {"viewer": {"own": True}}


class TokenRefused(DomainError):
    """A refresh token does not count (401)."""

    status = 401


@api_view(
    route_name="api.users",
    request_method="POST",
    takes_key=False,
    permission=PUBLIC,
    body=RegisterInput,
    returns=PersonOut,
    status=201,
    limit="api",
    example={
        "display_name": "mei_lin",
        "bio": "",
        "bio_html": "",
        "avatar_url": None,
        "meals_count": 0,
        "followers_count": 0,
        "following_count": 0,
    },
    summary="Register",
    tags=("accounts",),
    errors=("registration_closed",),
    links=(Link("api.user", "GET", username="$response.body#/username"), Link("api.login", "POST")),
    description="Makes an account. Signing in is another request: `POST /api/login`. A username that is "
    "taken, or an address that cannot be used, is 422 with its `pointer`. A site may be closed to new accounts: see "
    "`registration` in `GET /api/instance`.",
)
def register(context: Any, request: Request, body: RegisterInput) -> Reply:
    """Make an account."""
    wanted = Application(body.username, body.email, body.password, body.locale, body.time_zone)
    new = registration(request).accept(wanted, client_of(request).address)
    account_service(request).create(new)
    # As the database has it now, the moment it was made at included.
    person = Users(request)[new.username]
    value = person_out(person, request.registry["base_url"])
    return Reply(value, headers=[("Location", f"/api/users/{person.username}")])


@api_view(
    route_name="api.user",
    request_method="GET",
    permission=PUBLIC,
    context=PersonContext,
    returns=PersonOut,
    summary="Show a person",
    tags=("people",),
    links=(
        Link("api.user.meals", "GET", username="$response.body#/username"),
        Link("api.user.followers", username="$response.body#/username"),
    ),
    description="The public profile of a person, and how you stand to them. Somebody who has blocked you, or whom you "
    "have blocked, is not found.",
)
def show_person(context: PersonContext, request: Request) -> PersonOut:
    """The public profile of a person."""
    return person_out(context, request.registry["base_url"], viewer_of(request))


@api_view(
    route_name="api.login",
    request_method="POST",
    takes_key=False,
    permission=PUBLIC,
    body=LoginInput,
    returns=LoginOut,
    limit="api",
    summary="Log in",
    tags=("accounts",),
    errors=("bad_credentials", "account_suspended"),
    links=(Link("api.token.refresh"), Link("api.user", "GET", username="$response.body#/user/username")),
    description="Gives an access token for `Authorization: Bearer`, and a refresh token to get the next one with. "
    "After several wrong passwords the name and the address have to wait: 429. The tokens are shown once and cannot be "
    "read again.",
)
def login(context: Any, request: Request, body: LoginInput) -> Reply:
    """Sign a program in."""
    client = client_of(request)
    verified = password_check(request).login(body.login, body.password, client.address)
    if verified.new_hash is not None:
        password_service(request).rehash(verified.person, verified.new_hash)
    scopes = None if body.scope is None else body.scope.split(" ")
    pair = token_service(request).grant(verified.person, client, scopes)
    return Reply(login_out(pair, verified.person, request.registry["base_url"]), headers=NO_STORE)


@api_view(
    route_name="api.token.refresh",
    request_method="POST",
    takes_key=False,
    permission=PUBLIC,
    body=RefreshInput,
    returns=TokensOut,
    limit="api",
    summary="Refresh the tokens",
    tags=("accounts",),
    errors=("refresh_token_invalid", "refresh_token_expired", "refresh_token_reused"),
    links=(Link("api.token.refresh"),),
    description="Changes a refresh token for a new pair of tokens. Each is good once: a second use ends the whole "
    "sign-in, whoever sent it, so a client must not refresh twice at the same time. Send no `Authorization` header "
    "along: an access token that has run out is refused here too.",
)
def refresh(context: Any, request: Request, body: RefreshInput) -> Reply:
    """A new pair of tokens for a refresh token."""
    # In a transaction of its own: a token that was used before ends its grant although the answer is an error.
    with request.open_work() as work:
        service = TokenService(work, auth_settings(request), request.registry["access_tokens"])
        outcome = service.refresh(body.refresh_token)
    if isinstance(outcome, RefreshRefused):
        raise TokenRefused(outcome.code)
    return Reply(tokens_out(outcome), headers=NO_STORE)


@api_view(
    route_name="api.logout",
    request_method="POST",
    permission=CorePermission.SIGNED_IN,
    status=204,
    limit="api",
    summary="Log out",
    tags=("accounts",),
    description="Ends the sign-in that the token belongs to, or the browser's session. Of a personal token it is the "
    "token itself that ends: the one thing that it can do about tokens.",
)
def logout(context: Any, request: Request) -> None:
    """End the grant of the token, the personal token, or the session of the cookie."""
    identity = request.identity
    if identity.method is AuthMethod.SESSION:
        leave(request)
    elif identity.personal:
        personal_token_service(request).revoke(identity.account_id, identity.session_id)
    else:
        token_service(request).revoke(identity.account_id, identity.session_id)


@api_view(
    route_name="api.profile",
    request_method="GET",
    permission=AccountPermission.READ_OWN_PROFILE,
    returns=ProfileOut,
    example=_OWN,
    summary="Show your own profile",
    tags=("accounts",),
    links=(Link("api.user", "GET", username="$response.body#/username"),),
    description="Your public profile, and what only you see: e-mail address, role, language and time zone.",
)
def show_profile(context: Any, request: Request) -> Reply:
    """One's own profile."""
    return _own_profile(request)


@api_view(
    route_name="api.profile",
    request_method="PATCH",
    permission=AccountPermission.EDIT_OWN_PROFILE,
    body=ProfilePatch,
    returns=ProfileOut,
    summary="Change your profile",
    tags=("accounts",),
    errors=("precondition_failed",),
    etag=True,
    example=_OWN,
    description="A JSON merge patch (RFC 7396): what is absent stays, `null` puts back what a new account has. The "
    "e-mail address and the role cannot be changed here. An account that is no longer `locked` keeps its waiting "
    "requests until they are answered.",
)
def change_profile(context: Any, request: Request, body: ProfilePatch) -> Reply:
    """Change one's own profile."""
    service = account_service(request)
    if "HTTP_IF_MATCH" in request.environ:
        # Read while nobody else may write, so that nothing comes in between.
        queries.hold_account(request.db.connection(), request.identity.account_id)
        require_match(request, _own_profile(request).etag or "")
    service.change_profile(request.identity.account_id, body.model_dump(exclude_unset=True))
    return _own_profile(request)


@api_view(route_name="api.jwks", request_method="GET", permission=PUBLIC, documented=False)
def jwks(context: Any, request: Request) -> Reply:
    """The public keys that access tokens can be checked with (RFC 7517); none where the algorithm has only a secret."""
    keys = request.registry["access_tokens"].keys.jwks()
    return Reply(keys, headers=[("Cache-Control", f"public, max-age={JWKS_SECONDS}")])


def _own_profile(request: Request) -> Reply:
    profile = queries.profile(request.conn, request.identity.account_id)
    if profile is None:
        raise NotFound
    value = profile_out(profile, request.registry["base_url"])
    return Reply(value, etag=etag_of(*vars(value).values()))
