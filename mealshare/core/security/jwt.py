"""Access tokens: JSON Web Tokens in the profile of RFC 9068 (``typ: at+jwt``), signed by `jwt_keys`.

Only tokens that this site made are accepted, so everything a library would leave open is closed: the syntax is strict,
the header holds exactly ``alg``, ``kid`` and ``typ``, the algorithm is the one of the key that ``kid`` names, and every
claim is required and has its one type.  PyJWT does the cryptography; it is not asked to judge a token.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import jwt
import orjson

from mealshare.core import clock
from mealshare.core.security.jwt_keys import JwtKey, JwtKeys, JwtSettings, sign
from mealshare.core.security.tokens import new_token

TYPE = "at+jwt"
MAX_LENGTH = 4096
_SYNTAX = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_HEADER = frozenset({"alg", "kid", "typ"})
#: Every claim with its type.  ``type(value) is`` and not ``isinstance``: true is an int to Python, not to us.
_CLAIMS: tuple[tuple[str, type], ...] = (
    ("iss", str), ("sub", str), ("jti", str), ("exp", int), ("nbf", int), ("iat", int),
    ("sid", str), ("gen", int), ("role", str), ("scope", str), ("username", str),
)  # fmt: skip
#: What identifies something cannot be empty; a scope can.
_NOT_EMPTY = ("sub", "jti", "sid", "role", "username")


class TokenError(Exception):
    """The token is not accepted; ``code`` says why and is stable, the message is for the log and holds no token."""

    code: ClassVar[str] = "token_invalid"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.code)


class TokenTooLarge(TokenError):
    """More than 4,096 characters."""

    code = "token_too_large"


class TokenMalformed(TokenError):
    """Not three parts of canonical base64url with a JSON object in the first two, or a header that is not ours."""

    code = "token_malformed"


class TokenAlgorithm(TokenError):
    """An algorithm, ``none`` included, other than the one of the key."""

    code = "token_algorithm"


class TokenKeyUnknown(TokenError):
    """No ``kid``, or one that names no accepted key."""

    code = "token_key_unknown"


class TokenType(TokenError):
    """Not an access token (RFC 9068, 4)."""

    code = "token_type"


class TokenSignature(TokenError):
    """The signature is not that of this content by this key."""

    code = "token_signature"


class TokenClaimMissing(TokenError):
    """A required claim is not there."""

    code = "token_claim_missing"


class TokenClaimInvalid(TokenError):
    """A claim has another type than it must have, or is empty or negative."""

    code = "token_claim_invalid"


class TokenIssuer(TokenError):
    """Made by somebody else."""

    code = "token_issuer"


class TokenAudience(TokenError):
    """Made for somebody else."""

    code = "token_audience"


class TokenExpired(TokenError):
    """Its time is over."""

    code = "token_expired"


class TokenNotYetValid(TokenError):
    """Its time has not begun."""

    code = "token_not_yet_valid"


class TokenIssuedInFuture(TokenError):
    """It says that it will be made later."""

    code = "token_issued_in_future"


@dataclass(frozen=True)
class AccessClaims:
    """What an access token says.  The last three are set by ``issue``; times are seconds since 1970 in UTC.

    ``generation`` is the account's counter that a change of password, role or ban raises: whoever accepts the token
    compares it.  ``scope`` is separated by spaces (RFC 8693, 4.2).
    """

    subject: str
    username: str
    role: str
    scope: str
    grant_id: str
    generation: int
    token_id: str = ""
    issued_at: int = 0
    expires_at: int = 0

    @property
    def scopes(self) -> frozenset[str]:
        """The single scopes."""
        return frozenset(self.scope.split())


class AccessTokens:
    """Makes access tokens and checks them."""

    def __init__(
        self,
        keys: JwtKeys,
        issuer: str,
        audience: str,
        clock: Callable[[], datetime] = clock.now,
        *,
        access_seconds: int = 900,
        leeway_seconds: int = 60,
    ) -> None:
        """``issuer`` and ``audience`` are compared exactly; ``clock`` gives the present moment, aware."""
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
        self.clock = clock
        self.access_seconds = access_seconds
        self.leeway_seconds = leeway_seconds
        # The header of a key is always the same text: known ones need no parsing.
        self._headers = {_header_of(key): key for key in keys.accepted.values()}
        self._signing_header = _header_of(keys.signing)
        self._algorithms = {key.algorithm: jwt.get_algorithm_by_name(key.algorithm) for key in keys.accepted.values()}

    @classmethod
    def from_settings(
        cls, settings: JwtSettings, base_url: str, clock: Callable[[], datetime] = clock.now
    ) -> AccessTokens:
        """As ``settings`` say; ``base_url`` is issuer and audience where they name none.  Raises SettingsError."""
        return cls(
            JwtKeys.from_settings(settings),
            settings.issuer or base_url,
            settings.audience or base_url,
            clock,
            access_seconds=settings.access_seconds,
            leeway_seconds=settings.leeway_seconds,
        )

    def issue(self, claims: AccessClaims) -> str:
        """A token that says ``claims`` from now on for ``access_seconds``; a new ``token_id`` unless they bring one.

        Raises ValueError for claims that ``verify`` would refuse.
        """
        now = int(self.clock().timestamp())
        payload: dict[str, Any] = {
            "iss": self.issuer, "aud": self.audience, "sub": claims.subject, "jti": claims.token_id or new_token(16),
            "iat": now, "nbf": now, "exp": now + self.access_seconds, "sid": claims.grant_id, "gen": claims.generation,
            "role": claims.role, "scope": claims.scope, "username": claims.username,
        }  # fmt: skip
        try:
            _check_claims(payload)
        except TokenError as error:
            raise ValueError(str(error)) from error
        content = f"{self._signing_header}.{_base64url(orjson.dumps(payload))}"
        token = f"{content}.{_base64url(sign(self.keys.signing, content.encode('ascii')))}"
        if len(token) > MAX_LENGTH:
            raise ValueError("the claims are too long for a token")
        return token

    def verify(self, token: str, *, now: datetime | None = None) -> AccessClaims:
        """What ``token`` says, if this site made it and its time is now; otherwise raises a TokenError.

        ``now`` is aware and defaults to the clock.  Never raises anything else, whatever the string holds.
        """
        if len(token) > MAX_LENGTH:
            raise TokenTooLarge(f"{len(token)} characters")
        syntax = _SYNTAX.fullmatch(token)
        if syntax is None:
            raise TokenMalformed("not three parts of base64url")
        header, payload, signature = syntax.groups()
        key = self._headers.get(header) or self._key_of(header)
        content = token[: -len(signature) - 1].encode("ascii")
        if not self._algorithms[key.algorithm].verify(content, key.verifying, _decode(signature)):
            raise TokenSignature(f"not signed by the key {key.kid}")
        return self._claims(_object(payload), (now or self.clock()).timestamp())

    def _key_of(self, segment: str) -> JwtKey:
        """The key for a header that is not literally one of ours: most often the reason for refusing it."""
        header = _object(segment)
        algorithms = {key.algorithm for key in self.keys.accepted.values()}
        if type(header.get("alg")) is not str or header["alg"] not in algorithms:
            raise TokenAlgorithm("the algorithm is not one of ours")
        if not header.keys() <= _HEADER:
            # jwk, jku, x5u, x5c would bring a key along; crit, b64 and zip would change what is signed.
            raise TokenMalformed("the header has members besides alg, kid and typ")
        kid = header.get("kid")
        key = self.keys.accepted.get(kid) if type(kid) is str else None
        if key is None:
            raise TokenKeyUnknown("the key is not one of ours")
        if header["alg"] != key.algorithm:
            raise TokenAlgorithm(f"the key {key.kid} is not for this algorithm")
        if header.get("typ") != TYPE:
            raise TokenType(f"the type is not {TYPE}")
        return key

    def _claims(self, payload: dict[str, Any], now: float) -> AccessClaims:
        _check_claims(payload)
        if payload["iss"] != self.issuer:
            raise TokenIssuer("another issuer")
        if payload["aud"] not in (self.audience, [self.audience]):
            raise TokenAudience("another audience")
        if now >= payload["exp"] + self.leeway_seconds:
            raise TokenExpired(f"expired at {payload['exp']}")
        if now < payload["nbf"] - self.leeway_seconds:
            raise TokenNotYetValid(f"not valid before {payload['nbf']}")
        if now < payload["iat"] - self.leeway_seconds:
            raise TokenIssuedInFuture(f"issued at {payload['iat']}")
        return AccessClaims(
            payload["sub"], payload["username"], payload["role"], payload["scope"], payload["sid"], payload["gen"],
            payload["jti"], payload["iat"], payload["exp"],
        )  # fmt: skip


def _check_claims(payload: dict[str, Any]) -> None:
    for name, kind in _CLAIMS:
        if name not in payload:
            raise TokenClaimMissing(f"{name} is missing")
        value = payload[name]
        if type(value) is not kind or (type(value) is int and value < 0):
            raise TokenClaimInvalid(f"{name} is not {'a number' if kind is int else 'a string'} as it must be")
    for name in _NOT_EMPTY:
        if not payload[name]:
            raise TokenClaimInvalid(f"{name} is empty")
    audience = payload.get("aud")
    if audience is None:
        raise TokenClaimMissing("aud is missing")
    if type(audience) is not str and not (type(audience) is list and all(type(one) is str for one in audience)):
        raise TokenClaimInvalid("aud is neither a string nor a list of strings")


def _object(segment: str) -> dict[str, Any]:
    """The JSON object in a part of a token; orjson refuses NaN, bad UTF-8 and deep nesting."""
    text = _decode(segment)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise TokenMalformed("a part is not JSON") from None
    if type(value) is not dict:
        raise TokenMalformed("a part is not a JSON object")
    # What this site wrote comes out as it went in; only what somebody else did has to be looked at closely.
    if not _is_canonical(value, text):
        _refuse_doubles(text)
    return value


def _is_canonical(value: dict[str, Any], text: bytes) -> bool:
    try:
        return orjson.dumps(value) == text
    except orjson.JSONEncodeError:
        raise TokenMalformed("a part is nested too deeply") from None


def _refuse_doubles(text: bytes) -> None:
    """Raise TokenMalformed for an object that names a member twice: two readers might each take another one.

    RFC 7515, 4 and RFC 7519, 4 leave it to the reader to refuse such a token or to take the last.
    """

    def pairs(members: list[tuple[str, Any]]) -> None:
        if len(dict(members)) != len(members):
            raise TokenMalformed("a member appears twice")

    try:
        json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        raise TokenMalformed("a part is not JSON") from None


def _decode(segment: str) -> bytes:
    """The bytes of an unpadded base64url part; refuses a second spelling of the same bytes (RFC 4648, 3.5)."""
    try:
        value = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        raise TokenMalformed("a part is not base64url") from None
    if _base64url(value) != segment:
        raise TokenMalformed("a part is not canonical base64url")
    return value


def _header_of(key: JwtKey) -> str:
    return _base64url(orjson.dumps({"alg": key.algorithm, "kid": key.kid, "typ": TYPE}))


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")
