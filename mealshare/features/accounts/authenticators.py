"""From a cookie or a token to an identity: each costs one statement, and nothing where there is neither."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden
from pyramid.registry import Registry
from pyramid.request import Request
from sqlalchemy import ColumnElement, Row, Select, event

from mealshare.core import clock
from mealshare.core.db import MAX_ID, fetch_one
from mealshare.core.db.session import release_reader
from mealshare.core.readonly import is_read_only
from mealshare.core.security.csrf import SAFE_METHODS
from mealshare.core.security.doors import door_of
from mealshare.core.security.identity import AuthMethod, Identity, Role
from mealshare.core.security.jwt import AccessTokens, TokenError
from mealshare.core.security.permissions import Denial, DeniedBecause
from mealshare.core.security.policy import AuthenticationFailed, bearer_token, set_identity, withhold
from mealshare.core.security.remembered import RememberedIdentities, grant_key, session_key
from mealshare.core.security.tokens import PERSONAL_PREFIX, hash_token, is_personal_token
from mealshare.core.settings import settings_of
from mealshare.core.work import Work
from mealshare.features.accounts import queries_access
from mealshare.features.accounts.events import AccessEnded
from mealshare.features.accounts.rules import SEEING, Scope, scopes_now
from mealshare.features.accounts.service_personal import PersonalTokenService
from mealshare.features.accounts.service_sessions import SessionService
from mealshare.features.accounts.settings import SEEN_EVERY, USED_EVERY, AuthSettings

SESSION_COOKIE = "session"
#: 32 random bytes in base64url; what is not as long as that is not worth a statement.
_TOKEN_LENGTH = 43
SEEN_FAILED = "accounts.seen_failed"

log = logging.getLogger(__name__)


def session_token(request: Request) -> str | None:
    """The random id in the session cookie, if there is something that could be one."""
    token: str | None = request.registry["cookies"].get(request, SESSION_COOKIE)
    return token if token is not None and len(token) == _TOKEN_LENGTH else None


def by_session(request: Request) -> Identity | None:
    """Whose browser it is, by the session cookie."""
    token = session_token(request)
    if token is None:
        return None
    token_hash = hash_token(token)
    key = session_key(token_hash)
    known = _remembered(request, key)
    if known is not None:
        more = {name: known[name] for name in request.registry["identity_columns"]}
        return _identity(SimpleNamespace(**known), AuthMethod.SESSION, known["session_id"], more=more)
    began, moment = time.monotonic(), clock.now()
    idle_since = moment - settings_of(request.registry, AuthSettings).session_idle
    values = {"token_hash": token_hash, "now": moment, "idle_since": idle_since}
    row = fetch_one(request.primary_conn, _session_identity(request.registry), values)
    if row is None:
        return None
    _remember(request, key, row, began)
    seen_before = moment - SEEN_EVERY
    if row.last_seen_at < seen_before:
        session_id, settings = row.session_id, settings_of(request.registry, AuthSettings)
        _afterwards(request, lambda work: SessionService(work, settings).touch(session_id, seen_before))
    more = {name: getattr(row, name) for name in request.registry["identity_columns"]}
    return _identity(row, AuthMethod.SESSION, row.session_id, more=more)


def by_bearer(request: Request) -> Identity | None:
    """Whom a program acts for, by its access token or a personal one.

    Raises AuthenticationFailed for one that does not count, and HTTPForbidden ``scope_missing`` before anything is
    looked up for one that may not do what is asked for.  None where a visitor is told something, too, and the token may
    not see with its owner's eyes: it then gets what a visitor gets.
    """
    token = bearer_token(request)
    by_form = _by_personal_token if token.startswith(PERSONAL_PREFIX) else _by_access_token
    identity = by_form(request, token)
    safe, door = request.method in SAFE_METHODS, door_of(request)
    if door.public:
        if (Scope.READ if safe else Scope.WRITE) in identity.scopes:
            return identity
        withhold(request)
        return None
    if door.scopes:
        held = door.scopes & identity.scopes
        # A page that asks whether to delete a meal shows it: that a token may delete is not enough to look.
        if not held or (safe and Scope.READ not in identity.scopes and not held & SEEING):
            # Whoever answers the error should know whose limit and whose language count.
            set_identity(request, identity)
            raise HTTPForbidden(result=DeniedBecause(Denial.SCOPE_MISSING, door.permission))
    return identity


def _by_access_token(request: Request, token: str) -> Identity:
    access: AccessTokens = request.registry["access_tokens"]
    try:
        claims = access.verify(token)
    except TokenError as error:
        raise AuthenticationFailed(error.code) from None
    account_id, grant_id = _number(claims.subject), _number(claims.grant_id)
    key = grant_key(grant_id)
    known = _remembered(request, key)
    if known is not None and (known["account_id"], known["generation"]) == (account_id, claims.generation):
        return _identity(SimpleNamespace(**known), AuthMethod.BEARER, grant_id, known["scopes"])
    began = time.monotonic()
    values = {"grant_id": grant_id, "account_id": account_id, "generation": claims.generation, "now": clock.now()}
    row = fetch_one(request.primary_conn, queries_access.GRANT_IDENTITY, values)
    if row is None:
        raise AuthenticationFailed("token_revoked")
    _remember(request, key, row, began, generation=claims.generation)
    # Of the row and not of the claims: both were the same when the token was made, and only the row can change.
    return _identity(row, AuthMethod.BEARER, grant_id, row.scopes)


def _by_personal_token(request: Request, token: str) -> Identity:
    if not is_personal_token(token):
        raise AuthenticationFailed("token_malformed")
    row, moment = (
        fetch_one(request.primary_conn, queries_access.PERSONAL_IDENTITY, {"token_hash": hash_token(token)}),
        clock.now(),
    )
    if row is None:
        raise AuthenticationFailed("token_unknown")
    if row.suspended_at is not None:
        raise AuthenticationFailed("token_revoked")
    if row.expires_at is not None and row.expires_at <= moment:
        raise AuthenticationFailed("token_expired")
    used_before = moment - USED_EVERY
    if row.last_used_at is None or row.last_used_at < used_before:
        token_id = row.token_id
        _afterwards(request, lambda work: PersonalTokenService(work).touch(token_id, used_before))
    return _identity(row, AuthMethod.BEARER, row.token_id, row.scopes, personal=True)


def _remembered(request: Request, key: str) -> dict[str, Any] | None:
    """What is remembered of the sender, where that is switched on; whoever changes something is always looked up."""
    remembered: RememberedIdentities | None = request.registry["remembered"]
    if remembered is None:
        return None
    if request.method in SAFE_METHODS:
        return remembered.get(key)
    # What it changes may be told with the person: the next read is to see it.
    request.add_response_callback(lambda _request, _response: remembered.forget([key]))
    return None


def _remember(request: Request, key: str, row: Row[Any], began: float, **more: Any) -> None:
    remembered: RememberedIdentities | None = request.registry["remembered"]
    if remembered is not None and request.method in SAFE_METHODS:
        values = {name: value for name, value in row._mapping.items() if name != "last_seen_at"}
        remembered.keep(key, values | more, began)


def forget_ended(remembered: RememberedIdentities, work: Work, ended: AccessEnded) -> None:
    """Forget the sessions and grants after the commit that ends them."""
    keys = [*map(session_key, ended.sessions), *map(grant_key, ended.grants)]
    event.listen(work.session, "after_commit", lambda _session: remembered.forget(keys), once=True)


def _identity(
    row: Any, method: AuthMethod, session_id: int, scopes: str = "", more: Mapping[str, Any] | None = None, *,
    personal: bool = False,
) -> Identity:  # fmt: skip
    role = Role(row.role)
    return Identity(
        row.account_id, row.username, role, method, session_id, row.display_name, row.avatar_key, row.locale,
        row.time_zone, scopes_now(scopes, role), MappingProxyType(more or {}), personal,
    )  # fmt: skip


def add_identity_column(config: Configurator, name: str, column: ColumnElement[Any]) -> None:
    """Directive ``config.add_identity_column(name, column)``: read a value along with the person of a session.

    ``column`` is an expression over `User` or `Account`, such as a scalar subquery that names ``User.id``; it must cost
    the same however much there is, and its value must fit into JSON (`auth.session_cache_seconds`).  The value is
    ``identity.more[name]``, without a statement of its own.
    """
    columns = config.registry["identity_columns"]
    if name in columns:
        raise ValueError(f"the identity has a column {name} already")
    columns[name] = column.label(name)


def _session_identity(registry: Registry) -> Select[Any]:
    statement: Select[Any] | None = registry.get("session_identity")
    if statement is None:
        statement = queries_access.SESSION_IDENTITY.add_columns(*registry["identity_columns"].values())
        registry["session_identity"] = statement
    return statement


def _number(claim: str) -> int:
    """An id in a claim; this site only ever writes such, so anything else was made with a stolen or wrong key."""
    if not (claim.isascii() and claim.isdigit() and int(claim) <= MAX_ID):
        raise AuthenticationFailed("token_claim_invalid")
    return int(claim)


def _afterwards(request: Request, note: Callable[[Work], None]) -> None:
    """Write down that something is in use, after the answer and in a transaction of its own: a read stays a read."""
    if is_read_only(request.registry):
        return

    def write(request: Request) -> None:
        registry: Registry = request.registry
        release_reader(request)
        try:
            with registry["open_work"]() as work:
                note(work)
        except Exception:
            # The answer has been made; that the thing counts as unused for another while does no harm.
            log.warning(SEEN_FAILED, exc_info=True)

    request.add_finished_callback(write)
