"""The route table as something to be worked through, and requests as the server would hand them on."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_from_bytes

from pyramid.router import Router

from mealshare.features.accounts.service_sessions import Client, SessionService
from mealshare.features.accounts.settings import AuthSettings

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
PART = re.compile(r"\{(\w+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")


@dataclass(frozen=True)
class Route:
    """An address of the application, and the methods that it has views for."""

    name: str
    pattern: str
    methods: frozenset[str]
    parts: tuple[str, ...]

    @property
    def is_api(self) -> bool:
        """Whether errors are problem documents."""
        return self.pattern.startswith("/api/") or self.pattern in ("/api", "/openapi.json", "/.well-known/jwks.json")

    @property
    def is_static(self) -> bool:
        """Whether it is a folder of files."""
        return self.name.startswith("__static")

    def path(self, **values: object) -> str:
        """The address with its parts filled in, as it stands on the wire."""
        filled = PART.sub(lambda match: quote(str(values.get(match[1], "0")), safe="@"), self.pattern)
        return "/" + filled.lstrip("/").replace("*subpath", str(values.get("subpath", "nothing.css")))

    def unsafe_methods(self) -> frozenset[str]:
        """The methods that change something."""
        return self.methods - SAFE


def route_table(registry: Any) -> dict[str, Route]:
    """Every route of the application, by name, from what Pyramid knows of itself."""
    methods: dict[str, set[str]] = {}
    for item in registry.introspector.get_category("views") or ():
        view = item["introspectable"]
        given = view["request_methods"] or ()
        methods.setdefault(view["route_name"] or "", set()).update([given] if isinstance(given, str) else given)
    table = {}
    for item in registry.introspector.get_category("routes") or ():
        route = item["introspectable"]
        known = methods.get(route["name"], set()) or ({"GET"} if route["name"].startswith("__static") else set())
        known |= {"HEAD"} if "GET" in known else set()
        parts = tuple(match[1] for match in PART.finditer(route["pattern"]))
        table[route["name"]] = Route(route["name"], route["pattern"], frozenset(known), parts)
    return table


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float = 0.0

    def header(self, name: str) -> str:
        """All values of the header, joined; empty without one."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def comparable(self) -> tuple[int, tuple[tuple[str, str], ...], str]:
        """The answer without what is new in each: the id of the request, the moments at which limits start anew."""
        changing = ("x-request-id", "date", "x-ratelimit-reset", "x-ratelimit-remaining", "ratelimit")
        headers = sorted((key.lower(), value) for key, value in self.headers if key.lower() not in changing)
        text = re.sub(r'"request_id":"[^"]*"', "", self.text)
        return self.status, tuple(headers), text


@dataclass(frozen=True)
class Somebody:
    """Who sends a request: nobody, a browser's session with its form token, or a program's token."""

    cookies: Mapping[str, str] = field(default_factory=dict)
    csrf: str = ""
    authorization: str = ""

    def environ(self) -> dict[str, str]:
        """The headers that say who it is."""
        known = {}
        if self.cookies:
            known["HTTP_COOKIE"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if self.csrf:
            known["HTTP_X_CSRF_TOKEN"] = self.csrf
        if self.authorization:
            known["HTTP_AUTHORIZATION"] = self.authorization
        return known


def visitor() -> Somebody:
    """Nobody, with a form token of their own."""
    token = "visitors-token-of-some-length-0001"
    return Somebody({"csrf": token}, token)


def browser_of(registry: Any, account_id: int) -> Somebody:
    """A new session of the account, without the work that a password takes."""
    with registry["open_work"]() as work:
        session = SessionService(work, AuthSettings(7, 30, 14, 90, 30)).start(account_id, Client("127.0.0.1", "test"))
    return Somebody({"session": session.token}, registry["csrf"].signer.sign(session.token))


def send(
    app: Router, method: str, path: str, who: Somebody | None = None, *, body: bytes = b"", content_type: str = "",
    headers: Mapping[str, str] | None = None,
) -> Answer:  # fmt: skip
    """Send a request as the server would hand it on; ``path`` is percent-encoded, with its query.

    ``headers`` are by their names in the WSGI environment and may replace all others.
    """
    raw, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": _decoded(raw), "QUERY_STRING": query,
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7", "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(), "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(body)), **((who or Somebody()).environ()), **(headers or {}),
    }  # fmt: skip
    if content_type:
        environ["CONTENT_TYPE"] = content_type
    started: list[Any] = []

    def start_response(status: str, sent: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], Any]:
        started[:] = [int(status.split()[0]), tuple(sent)]
        return io.BytesIO().write

    before = time.perf_counter()
    result = app(environ, start_response)
    try:
        content = b"".join(result)
    finally:
        if hasattr(result, "close"):
            result.close()
    return Answer(started[0], started[1], content, time.perf_counter() - before)


def _decoded(path: str) -> str:
    """PATH_INFO: percent-decoded bytes, in the disguise of latin-1 (PEP 3333)."""
    data = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), path.encode("utf-8"))
    return data.decode("latin-1")


def send_json(app: Router, method: str, path: str, who: Somebody, value: Any, **headers: str) -> Answer:
    """Send ``value`` as JSON."""
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    return send(app, method, path, who, body=json.dumps(value).encode(), content_type=kind, headers=headers)


def urlencoded(pairs: Iterable[tuple[str, str | bytes]]) -> bytes:
    """The pairs as a form; bytes go in as they are."""
    return "&".join(f"{quote(name)}={quote_from_bytes(as_bytes(value))}" for name, value in pairs).encode()


def multipart(
    parts: Iterable[tuple[str, str | None, str | bytes]], boundary: str = "limit", head: bytes = b""
) -> tuple[bytes, str]:
    """A form with ``(name, file name or None, content)``, and its content type; ``head`` stands in each part's head."""
    body = b""
    for name, filename, content in parts:
        file = f'; filename="{filename}"' if filename is not None else ""
        line = f'Content-Disposition: form-data; name="{name}"{file}\r\n'.encode()
        body += b"--" + boundary.encode() + b"\r\n" + line + head + b"\r\n" + as_bytes(content) + b"\r\n"
    return body + b"--" + boundary.encode() + b"--\r\n", f"multipart/form-data; boundary={boundary}"


def as_bytes(value: str | bytes) -> bytes:
    """The value in UTF-8, half of a surrogate pair included."""
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
