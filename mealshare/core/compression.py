"""Smaller answers: gzip and brotli, as the client asks for (RFC 9110 sections 8.4 and 12.5.3).

It is a tween under the request log and the security headers, so that the log tells the bytes that went out, and over
CORS and all else, so that it sees every answer as it will be sent, errors included.

**What is compressed.**  Types that gain by it (`TYPES`), from ``minimum_bytes`` on, whole in memory or a static file.
Never a stream (nobody would see an event before the next hundred), a part of a file, what is encoded already, pictures.
A client that refuses plain text (``identity;q=0``) gets short answers compressed too.

**What is not, because of BREACH** (Gluck, Harris, Prado 2013: whoever sees only the *length* of a compressed answer
guesses a secret in it by having the same answer repeat guesses).  Two kinds of answers have secrets that stay the same:

- ``Cache-Control: no-store``: tokens, and problem documents, which repeat what was asked for.
- Pages of people who are signed in.  The form token in them is not masked, and pages such as the search repeat what was
  typed.  What a *visitor's* page holds is everybody's, but for a form token that guards nothing else than the checks
  of ``Origin`` and ``Sec-Fetch-Site`` do.

JSON that is neither holds no token and repeats no input.

**Entity tags.**  Another coding is another representation, so a strong tag gets the coding's name (RFC 9110 section
8.8.3.3): ``"abc"`` goes out as ``"abc-br"``.  On the way in the name is taken off ``If-Match``, and off
``If-None-Match`` where the client takes that coding now (a cache must not be told that its brotli copy serves a client
without brotli); no view knows of it.  A weak tag stands for all codings.

**How hard.**  Measured with 20 meals in Chinese and English, as CPU time and as size, gzip 6 being 1.  The JSON (0.07 of
its plain size): brotli 3 0.63 and 1.01; brotli 4 1.20 and 0.97; brotli 5 1.54 and 0.86; gzip 1 0.40 and 1.27; gzip 9 1.39
and 0.98.  The front page (0.12 of its plain size): brotli 3 0.38 and 1.01; brotli 4 0.67 and 0.97; brotli 5 0.97 and 0.90.
So brotli 3, which most clients take, is as small as gzip 6 for half of the work.  A static file is compressed once,
harder (brotli 9: 0.97 of the size of 5; 11 would take 20 times as long), and kept in a cache with a bound.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import brotli
from dogpile.cache.api import NO_VALUE
from pyramid.config import Configurator
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import FileResponse, Response

from mealshare.core.answers import header_values, vary_by
from mealshare.core.cache.lru import LruBackend
from mealshare.core.settings import setting, settings_of

#: Types that get smaller; what is not named (pictures, fonts, archives, streams of events) is small already.
TYPES = frozenset({
    "application/json", "application/problem+json", "application/feed+json", "application/manifest+json",
    "application/atom+xml", "application/xml", "text/xml", "image/svg+xml", "text/html", "text/plain", "text/css",
    "text/csv", "text/markdown", "text/javascript", "application/javascript",
})  # fmt: skip
#: In the order of preference among those that a client likes equally.
CODINGS = ("br", "gzip", "identity")
GZIP_LEVEL, BROTLI_QUALITY = 6, 3
#: For files, which are compressed once.
GZIP_LEVEL_KEPT, BROTLI_QUALITY_KEPT = 9, 9
#: All our files together take a quarter of this.
MOST_KEPT = {"entries": 500, "bytes": 8_000_000}
#: A header longer than this asks for nothing that we have.
LONGEST_HEADER = 500
#: The header as the client sent it, for another attempt of the same request.
_SENT = "mealshare.if_none_match"
_ELEMENT = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?")
_NAMED = re.compile(r'-(br|gzip)"')


@dataclass(frozen=True)
class CompressionSettings:
    """Whether answers are made smaller on their way."""

    enabled: bool = setting(
        True, "Send answers in gzip or brotli to those who take it; off where a proxy in front does it."
    )
    minimum_bytes: int = setting(1000, "Answers shorter than this are sent as they are.", minimum=0)


@dataclass(frozen=True)
class Accepted:
    """What a client takes: ``best`` of our codings, and all that it does not refuse."""

    best: str
    codings: frozenset[str]


@lru_cache(maxsize=512)
def negotiate(header: str) -> Accepted:
    """What an ``Accept-Encoding`` header asks for (RFC 9110 section 12.5.3); elements that are malformed say nothing.

    Plain text is the best where the client refuses all else, and where it refuses even that: then an answer that is
    not wanted is of more use than none.
    """
    weights: dict[str, float] = {}
    for element in header.split(",") if len(header) <= LONGEST_HEADER else ():
        match = _ELEMENT.fullmatch(element.strip())
        if match is not None:
            coding = match[1].lower()
            # RFC 9110 section 8.4.1.3: the old name of gzip.
            weights.setdefault("gzip" if coding == "x-gzip" else coding, float(match[2] or 1))
    others = weights.get("*")
    # Unless it is refused, plain text is accepted although nobody names it, and liked least.
    weight = {coding: weights.get(coding, others or 0.0) for coding in CODINGS}
    if "identity" not in weights and others != 0:
        weight["identity"] = others or 0.0005
    best = max(CODINGS, key=lambda coding: weight[coding])
    accepted = frozenset(coding for coding in CODINGS if weight[coding] > 0)
    return Accepted(best if accepted else "identity", accepted)


def compress(data: bytes, coding: str, *, kept: bool = False) -> bytes:
    """``data`` in the coding; the same data give the same bytes.  ``kept``: harder, for what is done once."""
    if coding == "br":
        return bytes(brotli.compress(data, quality=BROTLI_QUALITY_KEPT if kept else BROTLI_QUALITY))
    squeezer = zlib.compressobj(GZIP_LEVEL_KEPT if kept else GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return squeezer.compress(data) + squeezer.flush()


class Files:
    """Compressed static files, each compressed once; bounded."""

    def __init__(self) -> None:
        self._kept = LruBackend(MOST_KEPT)
        self._turn = threading.Lock()

    def compressed(self, response: Response, path: str, coding: str) -> bytes:
        """The file of ``response``, which was asked for under ``path``."""
        key = f"{coding} {response.headers.get('Last-Modified')} {response.content_length} {path}"
        found = self._kept.get_serialized(key)
        if found is NO_VALUE:
            with self._turn:
                # Several browsers may ask for it at once after a start; the first one does the work.
                found = self._kept.get_serialized(key)
                if found is NO_VALUE:
                    found = compress(b"".join(response.app_iter), coding, kept=True)
                    self._kept.set_serialized(key, found)
        return bytes(found)


def compression_tween_factory(handler: Callable[[Request], Any], registry: Registry) -> Callable[[Request], Any]:
    """The tween; it is not installed where compression is off."""
    minimum = settings_of(registry, CompressionSettings).minimum_bytes
    cookies = registry["cookies"]
    files = Files()

    def tween(request: Request) -> Any:
        environ = request.environ
        accepted = negotiate(environ.get("HTTP_ACCEPT_ENCODING", ""))
        _take_off_names(environ, accepted)
        response = handler(request)
        headers = header_values(response.headerlist)
        if response.status[:3] == "304":
            _confirm(response, environ.get(_SENT, ""), accepted)
            vary_by(response.headerlist, headers.get("vary"), "Accept-Encoding")
        elif _may_shrink(response, headers) and not (
            headers["content-type"].startswith("text/html") and cookies.get(request, "session") is not None
        ):
            vary_by(response.headerlist, headers.get("vary"), "Accept-Encoding")
            long_enough = int(headers["content-length"]) >= minimum or "identity" not in accepted.codings
            # A part of a file is a part of the plain one.
            if accepted.best != "identity" and long_enough and "HTTP_RANGE" not in environ:
                _shrink(response, environ, accepted, files)
        return response

    return tween


def _may_shrink(response: Response, headers: Mapping[str, str]) -> bool:
    """Whether the answer with these ``headers`` may be compressed for those who want that."""
    if headers.get("content-length", "0") == "0" or "content-encoding" in headers:
        return False
    if response.status[:3] in ("204", "206"):
        return False
    if headers.get("content-type", "").partition(";")[0].strip().lower() not in TYPES:
        return False
    cache_control = headers.get("cache-control", "")
    # RFC 9111 section 5.2.2.6.
    if "no-store" in cache_control or "no-transform" in cache_control:
        return False
    return isinstance(response.app_iter, list | tuple) or isinstance(response, FileResponse)


def _shrink(response: Response, environ: dict[str, Any], accepted: Accepted, files: Files) -> None:
    """Compress the answer, unless that makes it longer (which a file is not asked: it has been read by then)."""
    coding, plain = accepted.best, response.app_iter
    if isinstance(response, FileResponse):
        data = files.compressed(response, environ.get("PATH_INFO", ""), coding)
    else:
        data = compress(b"".join(plain), coding)
        if len(data) >= response.content_length and "identity" in accepted.codings:
            return
    response.app_iter = [data]
    response.content_length = len(data)
    headers = response.headers
    headers["Content-Encoding"] = coding
    etag = headers.get("ETag", "")
    if etag.startswith('"'):
        headers["ETag"] = named(etag, coding)
    if hasattr(plain, "close"):
        plain.close()


def named(etag: str, coding: str) -> str:
    """The strong tag of the representation in that coding."""
    return f'{etag[:-1]}-{coding}"'


def _take_off_names(environ: dict[str, Any], accepted: Accepted) -> None:
    """Let the views find the tags that they gave out; what was sent stays in the environ for `_confirm`."""
    sent = environ.get("HTTP_IF_NONE_MATCH")
    if sent is not None:
        environ.setdefault(_SENT, sent)
        environ["HTTP_IF_NONE_MATCH"] = _NAMED.sub(
            lambda match: '"' if match[1] in accepted.codings else match[0], sent
        )
    required = environ.get("HTTP_IF_MATCH")
    if required is not None:
        environ["HTTP_IF_MATCH"] = _NAMED.sub('"', required)


def _confirm(response: Response, sent: str, accepted: Accepted) -> None:
    """Let a 304 name the representation that the client has: of several, the one that it would be sent now."""
    etag = response.headers.get("ETag", "")
    if not etag.startswith('"'):
        return
    for coding in (accepted.best, *CODINGS):
        tag = etag if coding == "identity" else named(etag, coding)
        if coding in accepted.codings and tag in sent:
            response.headers["ETag"] = tag
            return


def includeme(config: Configurator) -> None:
    """Declare the settings; install the tween where it is wanted."""
    if config.declare_settings(CompressionSettings, prefix="compression").enabled:
        config.add_tween(
            "mealshare.core.compression.compression_tween_factory",
            under=(
                "mealshare.core.timing.timing_tween_factory",
                "mealshare.core.log.request_log_tween_factory",
                "mealshare.core.security.headers.headers_tween_factory",
            ),
            over="pyramid_tm.tm_tween_factory",
        )
