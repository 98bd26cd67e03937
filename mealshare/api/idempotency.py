"""``Idempotency-Key``: a request that says which one it is may be sent again, and is done once.

After draft-ietf-httpapi-idempotency-key-header.  Where it leaves room, this is decided:

- Keys are an account's own, and count for what it changes (POST, PUT, PATCH, DELETE).  A visitor's key is ignored: there
  is nobody whose it could be, and what visitors can do (register, log in, refresh) is answered with secrets or can
  happen once only anyway.  Where a key cannot be heeded (a batch), one of somebody who is signed in is refused: to
  ignore it would be to promise what is not kept.
- Limit, authentication and permission come first, as for any request.  Whoever may no longer do a thing is not told what
  came of it either.
- A second request while the first runs waits for it and gets its answer; 409 if that takes too long.
- An error has changed nothing and is not kept: the same key may be used again, with the corrected request.
- What an operation does outside of the request's transaction (``request.open_work()``) is not covered.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPException
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import Connection

from mealshare.core.db.session import release_reader, when_writing
from mealshare.core.errors import BadRequest, Conflict, DomainError
from mealshare.core.i18n import _
from mealshare.core.idempotency import Kept, Key, StillRunning
from mealshare.core.security.csrf import SAFE_METHODS
from mealshare.core.security.policy import AuthenticationFailed

#: The header as it stands in the environ.
HEADER = "HTTP_IDEMPOTENCY_KEY"
REPLAYED = "Idempotency-Replayed"
#: A longer answer is not kept; meals have some thousand bytes.
MAX_BODY = 64 * 1024
#: What belongs to the answer itself.  Cookies never do, and the limits are those of now.
_KEPT_HEADERS = frozenset({"cache-control", "content-language", "content-type", "etag", "link", "location", "vary"})
#: A string of RFC 8941 (section 3.3.3), or the same without the quotes; a comma there would be a second header.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-+\--~]+")
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]+)"|([^\s;]+))\s*', re.IGNORECASE)
_SIGNING_KEY = "idempotency_signing_key"
#: As much of a line as is read at once; a delimiter between two parts is shorter (RFC 2046, 5.1.1).
_CHUNK = 65536

#: What operations that heed no key may answer, and what all others may.
KEY_REFUSED = "idempotency_key_refused"
PROBLEMS = {
    "idempotency_key_invalid": (
        400, _("An Idempotency-Key has 1 to 255 ASCII characters, without spaces, quotes and commas."),
    ),
    "idempotency_key_reused": (
        422, _("This Idempotency-Key was used for another request. A new request needs a new one."),
    ),
    "idempotency_in_progress": (
        409, _("The first request with this Idempotency-Key is still running. Please repeat it in a moment."),
    ),
    "idempotency_done": (409, _("This was done already, and its answer was not kept.")),
}  # fmt: skip


class KeyInvalid(BadRequest):
    """The header is none (400)."""

    code = "idempotency_key_invalid"


class KeyRefused(BadRequest):
    """No key can be heeded here (400)."""

    code = KEY_REFUSED


class KeyReused(DomainError):
    """Another request came with this key before (422)."""

    status = 422
    code = "idempotency_key_reused"


class InProgress(Conflict):
    """The first request with the key has not ended yet (409)."""

    code = "idempotency_in_progress"
    headers = (("Retry-After", "5"),)


class Done(Conflict):
    """It was done, and the answer was not to be kept (409); ``Location`` tells what came of it."""

    code = "idempotency_done"

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self.headers = tuple(header for header in kept.headers if header[0] == "Location")


class _Taken(Exception):
    """The key was claimed by another request in the meantime; comes out of whatever wanted to write."""


class _Claim:
    """One request's try to be the one that counts."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.made = False
        self.lost = False

    def may_be_a_repeat(self, error: Exception) -> bool:
        """Whether ``error`` may come of what the first request with the key has done in the meantime."""
        if self.made or isinstance(error, InProgress):
            return False
        return self.lost or isinstance(error, DomainError | HTTPException)

    def __call__(self, connection: Connection) -> None:
        """Claim the key at the beginning of the write transaction.  Raises _Taken and InProgress."""
        try:
            self.made = self.key.claim(connection)
        except StillRunning:
            raise InProgress from None
        if not self.made:
            self.lost = True
            raise _Taken


def once(request: Request, run: Callable[[], Response], extra: list[tuple[str, str]], *, keep_answer: bool) -> Response:
    """The answer of ``run``, or the one that the same request got when it came first.

    ``run`` is not called for a request that is known.  It begins its transaction with the claim, whenever it comes to
    that, so what takes long and writes nothing (looking at a picture) holds up nobody.  Without ``keep_answer`` only
    that it was done is kept, and where.  ``extra`` are headers for an answer that is given again.  Raises KeyInvalid,
    KeyReused, InProgress, Done and what ``run`` raises.
    """
    key = Key(request.identity.account_id, parse_key(request.environ[HEADER]), fingerprint(request))
    kept = key.find(request.conn)
    if kept is not None:
        return _again(key, kept, extra)
    claim = _Claim(key)
    try:
        when_writing(request, claim)
        response = run()
        if not claim.lost:
            if response.status_int < 400:
                # An operation may have found nothing to write; then it is now that the key is claimed.
                connection = request.db.connection()
                key.keep(connection, response.status_int, *_worth_keeping(response, keep_answer))
            return response
        failed: Exception = _Taken()
    except Exception as error:
        if not claim.may_be_a_repeat(error):
            raise
        failed = error
    kept = _look_again(request, key)
    if kept is None:
        raise InProgress if isinstance(failed, _Taken) else failed
    return _again(key, kept, extra)


def repeat_of_removal(request: Request, extra: list[tuple[str, str]]) -> Response | None:
    """The answer for a request that is not found because it has removed what it is about itself, else None.

    To be asked where the address leads nowhere, so before any permission could be: therefore only for the request that
    was answered with no content, and by the account that sent it.  One that came as far as writing has looked itself.
    """
    environ = request.environ
    if HEADER not in environ or environ["REQUEST_METHOD"] in SAFE_METHODS or "db" in request.__dict__:
        return None
    try:
        identity = request.identity
        if identity is None:
            return None
        key = Key(identity.account_id, parse_key(environ[HEADER]), fingerprint(request))
    except (AuthenticationFailed, KeyInvalid):
        # There is nothing here, which says enough.
        return None
    kept = key.find(request.conn)
    if kept is None or kept.status != 204 or not hmac.compare_digest(kept.fingerprint, key.fingerprint):
        return None
    return _replay(kept, extra)


def parse_key(header: str) -> str:
    """The key in a header: as a string in quotes, as the draft has it, or bare.  Raises KeyInvalid."""
    text = header.strip(" \t")
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    elif _BARE.fullmatch(text) is None:
        raise KeyInvalid
    if not 1 <= len(text) <= 255:
        raise KeyInvalid
    return text


def fingerprint(request: Request) -> bytes:
    """32 bytes that tell this request from others: of method, address, type and body, but not of who sends it.

    With a key of the site's: a body may hold a password, and an ordinary hash of it could be guessed at from a copy of
    the database.  A form is hashed without the boundary between its parts, which is random: who repeats an upload mostly
    writes the form anew.
    """
    environ = request.environ
    kind: str = environ.get("CONTENT_TYPE", "")
    boundary = _BOUNDARY.search(kind) if kind[:10].lower() == "multipart/" else None
    if boundary is not None:
        kind = kind[: boundary.start()] + kind[boundary.end() :]
    digest = hmac.new(request.registry[_SIGNING_KEY], digestmod=hashlib.sha256)
    address = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    for text in (environ["REQUEST_METHOD"], address, environ.get("QUERY_STRING", ""), kind.strip()):
        part = text.encode("utf-8", "surrogatepass")
        digest.update(len(part).to_bytes(4, "big") + part)
    for chunk in _body(request, (boundary[1] or boundary[2]).encode() if boundary is not None else None):
        digest.update(chunk)
    return digest.digest()


def _body(request: Request, boundary: bytes | None) -> Iterator[bytes]:
    """The body in pieces, the boundary left out of its delimiters; the body can be read again afterwards."""
    if not request.is_body_readable:
        return
    file = request.body_file_seekable
    file.seek(0)
    delimiters = {b"--" + boundary, b"--" + boundary + b"--"} if boundary is not None else frozenset()
    read = (lambda: file.read(_CHUNK)) if boundary is None else (lambda: file.readline(_CHUNK))
    for chunk in iter(read, b""):
        yield b"--\r\n" if chunk.rstrip() in delimiters else chunk
    file.seek(0)


def _worth_keeping(response: Response, keep_answer: bool) -> tuple[tuple[tuple[str, str], ...], bytes | None]:
    """The headers and the body to keep; None for a body that is secret, endless or too long."""
    headers = tuple(header for header in response.headerlist if header[0].lower() in _KEPT_HEADERS)
    # No store means this one as well.
    secret = not keep_answer or "no-store" in response.headers.get("Cache-Control", "")
    length: int | None = 0 if response.status_int == 204 else response.content_length
    if secret or length is None or length > MAX_BODY:
        return headers, None
    return headers, response.body


def _look_again(request: Request, key: Key) -> Kept | None:
    """What is kept by now; this request writes nothing any more, also of what it has made ready."""
    request.tm.doom()
    # Its connection goes back first: a request never holds two.
    release_reader(request)
    if "db" in request.__dict__:
        request.db.rollback()
    with request.registry["read_engine"].connect() as connection:
        return key.find(connection)


def _again(key: Key, kept: Kept, extra: list[tuple[str, str]]) -> Response:
    """The kept answer.  Raises KeyReused if it was another request's, and Done if it was not kept."""
    if not hmac.compare_digest(kept.fingerprint, key.fingerprint):
        raise KeyReused
    if kept.status is None or kept.body is None:
        raise Done(kept)
    return _replay(kept, extra)


def _replay(kept: Kept, extra: list[tuple[str, str]]) -> Response:
    headers = [*kept.headers, (REPLAYED, "true"), *extra]
    if not kept.body:
        return Response(status=kept.status, headerlist=headers)
    return Response(kept.body, kept.status, headers)


def includeme(config: Configurator) -> None:
    """Register the problems, and the key that fingerprints are made with."""
    secret: Any = config.registry["secret"]
    config.registry[_SIGNING_KEY] = hmac.digest(secret.encode(), b"mealshare idempotency 1", "sha256")
    config.add_problems(PROBLEMS)
    refused = _("No Idempotency-Key can be heeded here. In a batch each request has its own.")
    config.add_problems({KEY_REFUSED: (400, refused)})
