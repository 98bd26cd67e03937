"""Random tokens, their hashes, and short signed values.

A token that opens something (a session, a refresh, a reset link) is random, is shown once and is stored only as its
hash: whoever reads the database cannot use what stands there.  A value that merely has to come back unchanged (a CSRF
token, a cookie) is signed with a key that the site's secret and the purpose give together.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

from mealshare.core.settings import SettingsError

#: With its signature, name and attributes such a value stays below the 4,096 bytes that browsers keep of a cookie.
MAX_WRAPPED = 3072
#: What may be wrapped: characters that stand in a cookie, a form field and an address without any quoting.
_WRAPPABLE = re.compile(rf"[A-Za-z0-9._~-]{{0,{MAX_WRAPPED}}}")
#: 32 bytes as an HMAC-SHA256 gives them, in unpadded base64url.
_SIGNATURE_LENGTH = 43
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+")
PERSONAL_PREFIX = "msp_"
_PERSONAL = re.compile(PERSONAL_PREFIX + r"[A-Za-z0-9_-]{43}")


def new_token(nbytes: int = 32) -> str:
    """A random token of ``nbytes`` bytes (256 bits unless told) in unpadded base64url: 43 characters for 32 bytes.

    Raises ValueError below 16 bytes: 128 bits are the least that cannot be guessed online or offline.
    """
    if nbytes < 16:
        raise ValueError("a token needs at least 16 bytes")
    return secrets.token_urlsafe(nbytes)


def new_personal_token() -> str:
    """A random personal access token: ``msp_`` and 43 characters, 256 bits.

    The prefix tells people, logs and the secret scanners of code hosts what it is: they look for
    ``msp_[A-Za-z0-9_-]{43}``.
    """
    return PERSONAL_PREFIX + new_token()


def is_personal_token(token: str) -> bool:
    """Whether ``token`` has the form of a personal access token; no JWT does."""
    return _PERSONAL.fullmatch(token) is not None


def hash_token(token: str) -> bytes:
    """The 32 bytes of SHA-256 under which ``token`` is stored and found again; any string at all is accepted.

    A fast hash is right here, unlike for passwords: a token has 256 random bits, so there is nothing to guess.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def same_token(left: str | bytes, right: str | bytes) -> bool:
    """Whether the two are equal, in a time that does not tell how many characters agree.

    A string equals the bytes of its UTF-8.
    """
    return hmac.compare_digest(_bytes(left), _bytes(right))


class Signer:
    """Signs short values with HMAC-SHA256 for one ``purpose``.

    Each purpose gets its own key from the secret, so that a value signed for one is worthless for another.
    """

    def __init__(self, secret: str, purpose: str) -> None:
        """``secret`` is the site's secret, ``purpose`` a constant such as ``"csrf"``; ValueError if either is empty."""
        if not secret or not purpose:
            raise ValueError("a signer needs a secret and a purpose")
        self._key = hmac.digest(secret.encode(), b"mealshare signer 1\0" + purpose.encode(), "sha256")

    def sign(self, value: str) -> str:
        """The signature of any string: 43 characters of base64url, which do not contain or tell ``value``."""
        return _base64url(hmac.digest(self._key, value.encode("utf-8", "surrogatepass"), "sha256"))

    def verify(self, value: str, signature: str) -> bool:
        """Whether ``signature`` is that of ``value``; never raises, whatever a stranger sends."""
        return same_token(self.sign(value), signature)

    def wrap(self, value: str) -> str:
        """``value``, a dot and its signature, for a cookie; readable by whoever holds it, so nothing secret.

        Raises ValueError unless ``value`` is at most 3,072 letters, digits and ``._~-``.
        """
        if not _WRAPPABLE.fullmatch(value):
            raise ValueError("only short values of unreserved ASCII characters can be wrapped")
        return f"{value}.{self.sign(value)}"

    def unwrap(self, wrapped: str | None) -> str | None:
        """The value that ``wrap`` was given, or None if it is missing, altered or wrapped for another purpose."""
        if not wrapped or len(wrapped) > MAX_WRAPPED + 1 + _SIGNATURE_LENGTH:
            return None
        value, dot, signature = wrapped.rpartition(".")
        return value if dot and self.verify(value, signature) else None


def require_strong_secret(name: str, secret: str) -> None:
    """Stop the boot, naming the setting ``name``, unless ``secret`` can hold 256 random bits.

    Randomness cannot be seen from outside; what can be seen is whether there is room for it: 64 hexadecimal digits, or
    43 characters of base64, and many different ones among them.  Raises SettingsError.
    """
    least, distinct = (64, 10) if _HEXADECIMAL.fullmatch(secret) else (43, 16)
    make = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
    if not secret:
        raise SettingsError(f"the setting {name} is missing; {make}")
    if not secret.isascii() or not secret.isprintable() or " " in secret or "," in secret:
        raise SettingsError(f"the setting {name} is wrong: it takes ASCII without spaces and commas; {make}")
    if len(secret) < least or len(set(secret)) < distinct:
        raise SettingsError(f"the setting {name} is wrong: it is too weak, 32 random bytes are needed; {make}")


def _bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")
