"""The keys that sign and check access tokens, and the settings that name them.

A key is known by its ``kid``, and each one is pinned to a single algorithm: what the header of a token says can only
agree with that or be refused (RFC 8725, 3.1).  To change a key, make the old one a *previous* one: its tokens stay good
until they expire, while new ones are signed with the new key.  That also holds across algorithms, so a site moves from
HS256 to RS256 without signing anybody out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from mealshare.core.security.tokens import require_strong_secret
from mealshare.core.settings import Secret, SettingsError, setting

PREFIX = "jwt"
_HOW = {
    "RS256": "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out jwt.pem",
    "ES256": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out jwt.pem",
}
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class JwtSettings:
    """Access tokens of the JSON API."""

    algorithm: str = setting("HS256", "How access tokens are signed.", choices=("HS256", "RS256", "ES256"))
    secret: Secret = setting(
        Secret(""), "The key of HS256: at least 32 random bytes as 64 hexadecimal digits or 43 of base64."
    )
    private_key: Secret = setting(Secret(""), "The private key of RS256 or ES256 itself, as PEM.")
    private_key_file: str = setting("", "The file with the private key of RS256 (2048 bits or more) or ES256, as PEM.")
    previous_secrets: tuple[Secret, ...] = setting((), "Earlier HS256 secrets whose tokens are still accepted.")
    previous_key_files: tuple[str, ...] = setting(
        (), "PEM files of earlier keys, public or private, whose tokens are still accepted."
    )
    issuer: str = setting("", "The issuer written into tokens (iss); empty for the site's base URL.")
    audience: str = setting("", "The audience written into tokens (aud); empty for the site's base URL.")
    access_seconds: int = setting(900, "How long an access token is good, in seconds.", minimum=60, maximum=86_400)
    leeway_seconds: int = setting(60, "How far clocks may differ, in seconds.", minimum=0, maximum=300)


@dataclass(frozen=True)
class JwtKey:
    """One key: what checks a signature, what makes one (None for a previous public key), and its public form."""

    kid: str
    algorithm: str
    verifying: Any = field(repr=False)
    signing: Any = field(default=None, repr=False)
    jwk: dict[str, str] | None = None


class JwtKeys:
    """The key that signs, and all keys that are accepted, by their ``kid``."""

    def __init__(self, signing: JwtKey, previous: Iterable[JwtKey] = ()) -> None:
        """Raises SettingsError when ``signing`` cannot sign."""
        if signing.signing is None:
            raise SettingsError(f"the setting {PREFIX}.private_key_file is wrong: it names a public key")
        self.signing = signing
        self.accepted: dict[str, JwtKey] = {key.kid: key for key in (*previous, signing)}

    @classmethod
    def from_settings(cls, settings: JwtSettings) -> JwtKeys:
        """The keys that ``settings`` name; raises SettingsError with the name of the setting that is wrong."""
        previous = [hs256_key(secret, f"{PREFIX}.previous_secrets") for secret in settings.previous_secrets]
        for path in settings.previous_key_files:
            name = f"{PREFIX}.previous_key_files"
            previous.append(asymmetric_key(_read(path, name), f"{name} ({path})"))
        return cls(_signing_key(settings), previous)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK set (RFC 7517, 5): the one that signs first, nothing secret, empty for HS256."""
        keys = [self.signing, *(key for key in self.accepted.values() if key.kid != self.signing.kid)]
        return {"keys": [dict(key.jwk) for key in keys if key.jwk is not None]}


def hs256_key(secret: str, name: str = f"{PREFIX}.secret") -> JwtKey:
    """The HS256 key of ``secret``; raises SettingsError naming the setting ``name`` when the secret is weak.

    Its ``kid`` is an HMAC made with the secret: it tells two keys apart and tells nothing that a signature does not.
    """
    require_strong_secret(name, secret)
    key = secret.encode("ascii")
    kid = _base64url(hmac.digest(key, b"mealshare access token key id", "sha256")[:12])
    return JwtKey(kid=kid, algorithm="HS256", verifying=key, signing=key)


def asymmetric_key(pem: bytes, name: str) -> JwtKey:
    """The RS256 or ES256 key in ``pem``, private or public; its ``kid`` is the thumbprint of RFC 7638.

    Raises SettingsError naming ``name`` for anything but an RSA key of 2048 bits or more, or one on the curve P-256.
    """
    loaded = _load(pem, name)
    private = loaded if isinstance(loaded, PrivateKey) else None
    public = loaded.public_key() if isinstance(loaded, PrivateKey) else loaded
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < 2048:
            raise SettingsError(f"{name}: the RSA key has {public.key_size} bits, at least 2048 are needed")
        algorithm = "RS256"
        rsa_numbers = public.public_numbers()
        members = {"e": _number(rsa_numbers.e), "kty": "RSA", "n": _number(rsa_numbers.n)}
    else:
        if not isinstance(public.curve, ec.SECP256R1):
            raise SettingsError(f"{name}: ES256 needs the curve P-256, the key is on {public.curve.name}")
        algorithm = "ES256"
        point = public.public_numbers()
        members = {"crv": "P-256", "kty": "EC", "x": _number(point.x, 32), "y": _number(point.y, 32)}
    kid = thumbprint(members)
    jwk = {**members, "use": "sig", "alg": algorithm, "kid": kid}
    return JwtKey(kid=kid, algorithm=algorithm, verifying=public, signing=private, jwk=jwk)


def thumbprint(members: dict[str, str]) -> str:
    """RFC 7638: SHA-256 over the required members of a JWK, sorted and without white space, in base64url."""
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode("ascii")).digest())


def sign(key: JwtKey, message: bytes) -> bytes:
    """The signature of ``message`` by the algorithm of ``key``."""
    return jwt.get_algorithm_by_name(key.algorithm).sign(message, key.signing)


def _signing_key(settings: JwtSettings) -> JwtKey:
    if settings.algorithm == "HS256":
        if settings.private_key or settings.private_key_file:
            raise SettingsError(
                f"{PREFIX}.private_key is given, but {PREFIX}.algorithm is HS256: set it to RS256 or ES256"
            )
        return hs256_key(settings.secret)
    name = f"{PREFIX}.private_key_file"
    if settings.private_key and settings.private_key_file:
        raise SettingsError(f"{PREFIX}.private_key and {name} are both given: keep one")
    if not settings.private_key and not settings.private_key_file:
        raise SettingsError(f"the setting {name} is missing: {settings.algorithm} needs it; {_HOW[settings.algorithm]}")
    pem = settings.private_key.encode() if settings.private_key else _read(settings.private_key_file, name)
    key = asymmetric_key(pem, name if settings.private_key_file else f"{PREFIX}.private_key")
    if key.algorithm != settings.algorithm:
        raise SettingsError(
            f"{name}: the key is one for {key.algorithm}, but {PREFIX}.algorithm is {settings.algorithm}"
        )
    return key


def _read(path: str, name: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: cannot read {path!r}: {error.strerror}") from error


def _load(pem: bytes, name: str) -> PrivateKey | PublicKey:
    try:
        loaded = load_pem_private_key(pem, password=None) if b"PRIVATE KEY-----" in pem else load_pem_public_key(pem)
    except TypeError as error:
        raise SettingsError(f"{name}: the key is protected by a passphrase; store it without one") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{name}: this is not a key in PEM form") from error
    if not isinstance(loaded, PrivateKey | PublicKey):
        raise SettingsError(f"{name}: the key is neither RSA nor elliptic curve")
    return loaded


def _number(value: int, length: int | None = None) -> str:
    """Base64urlUInt of RFC 7518; a coordinate keeps its leading zeros (``length`` bytes)."""
    return _base64url(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")
