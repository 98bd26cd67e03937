"""Messages that survive one redirect, in a signed cookie: visitors have no session to keep them in."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

import orjson
from pyramid.request import Request

from mealshare.core.security.cookies import CookieJar
from mealshare.core.security.tokens import MAX_WRAPPED, Signer

COOKIE = "flash"
_PENDING = "_mealshare_flash"


class Message(NamedTuple):
    """A message for the reader; ``kind`` is success, info or error."""

    kind: str
    text: str


def flash(request: Request, text: str, kind: str = "success") -> None:
    """Show ``text`` (a message id) on the next page that this reader sees."""
    pending: list[list[str]] = request.__dict__.setdefault(_PENDING, [])
    pending.append([kind, request.translate(text)])
    if len(pending) == 1:
        request.add_response_callback(_write)


def messages_wait(request: Request) -> bool:
    """Whether there may be messages for this reader."""
    jar: CookieJar = request.registry["cookies"]
    return bool(jar.get(request, COOKIE))


def take_messages(request: Request) -> list[Message]:
    """The messages that wait for this reader; they are shown once."""
    jar: CookieJar = request.registry["cookies"]
    value = jar.get(request, COOKIE)
    if not value:
        return []
    request.add_response_callback(_forget)
    payload = _signer(request).unwrap(value)
    if payload is None:
        return []
    return [Message(kind, text) for kind, text in orjson.loads(base64.urlsafe_b64decode(payload + "=="))]


def _signer(request: Request) -> Signer:
    return Signer(request.registry["secret"], "flash")


def _write(request: Request, response: Any) -> None:
    messages = request.__dict__[_PENDING][:3]
    payload = _encode(messages)
    while len(payload) > MAX_WRAPPED:
        # By now the transaction has been committed: a cookie that is too long must not turn success into an error.
        messages = (
            messages[:-1] if len(messages) > 1 else [[messages[0][0], messages[0][1][: len(messages[0][1]) // 2]]]
        )
        payload = _encode(messages)
    jar: CookieJar = request.registry["cookies"]
    jar.set(response, COOKIE, _signer(request).wrap(payload), max_age=300)


def _encode(messages: list[list[str]]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(messages)).decode().rstrip("=")


def _forget(request: Request, response: Any) -> None:
    if _PENDING not in request.__dict__:
        request.registry["cookies"].delete(response, COOKIE)
