"""From a cookie or a token to an identity: each costs one statement, and nothing where there is neither."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from pyramid.registry import Registry
from pyramid.request import Request
from sqlalchemy import Row

from mealshare.core import clock
from mealshare.core.db import MAX_ID, fetch_one
from mealshare.core.db.session import release_reader
from mealshare.core.security.identity import AuthMethod, Identity, Role
from mealshare.core.security.jwt import AccessTokens, TokenError
from mealshare.core.security.policy import AuthenticationFailed
from mealshare.core.security.tokens import hash_token
from mealshare.core.settings import settings_of
from mealshare.features.accounts import queries
from mealshare.features.accounts.service_sessions import SessionService
from mealshare.features.accounts.settings import SEEN_EVERY, AuthSettings

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
    moment = clock.now()
    idle_since = moment - settings_of(request.registry, AuthSettings).session_idle
    values = {"token_hash": hash_token(token), "now": moment, "idle_since": idle_since}
    row = fetch_one(request.conn, queries.SESSION_IDENTITY, values)
    if row is None:
        return None
    if row.last_seen_at < moment - SEEN_EVERY:
        _note_seen(request, row.session_id, moment - SEEN_EVERY)
    return _identity(row, AuthMethod.SESSION, row.session_id, frozenset())


def by_bearer(request: Request) -> Identity | None:
    """Whom a program acts for, by its access token; raises AuthenticationFailed for one that does not count."""
    access: AccessTokens = request.registry["access_tokens"]
    try:
        claims = access.verify(request.environ["HTTP_AUTHORIZATION"][7:].strip(" "))
    except TokenError as error:
        raise AuthenticationFailed(error.code) from None
    account_id, grant_id = _number(claims.subject), _number(claims.grant_id)
    values = {"grant_id": grant_id, "account_id": account_id, "generation": claims.generation, "now": clock.now()}
    row = fetch_one(request.conn, queries.GRANT_IDENTITY, values)
    if row is None:
        raise AuthenticationFailed("token_revoked")
    # Of the row and not of the claims: both were the same when the token was made, and only the row can change.
    return _identity(row, AuthMethod.BEARER, grant_id, frozenset(row.scopes.split()))


def _identity(row: Row[Any], method: AuthMethod, session_id: int, scopes: frozenset[str]) -> Identity:
    return Identity(
        row.account_id, row.username, Role(row.role), method, session_id, row.display_name, row.avatar_key, row.locale,
        row.time_zone, scopes,
    )  # fmt: skip


def _number(claim: str) -> int:
    """An id in a claim; this site only ever writes such, so anything else was made with a stolen or wrong key."""
    if not (claim.isascii() and claim.isdigit() and int(claim) <= MAX_ID):
        raise AuthenticationFailed("token_claim_invalid")
    return int(claim)


def _note_seen(request: Request, session_id: int, seen_before: datetime) -> None:
    """Write down that the session is in use, after the answer and in a transaction of its own: a read stays a read."""

    def write(request: Request) -> None:
        registry: Registry = request.registry
        release_reader(request)
        try:
            with registry["open_work"]() as work:
                SessionService(work, settings_of(registry, AuthSettings)).touch(session_id, seen_before)
        except Exception:
            # The answer has been made; that the session counts as unused for another while does no harm.
            log.warning(SEEN_FAILED, exc_info=True)

    request.add_finished_callback(write)
