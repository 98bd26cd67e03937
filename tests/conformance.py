"""Every answer of the JSON face that any test gets is held against the OpenAPI document.

`Conforming` stands around the application of the tests.  It finds out which operation was called, as the router does, and
raises AssertionError where an answer has a status, a type, a body or a header that the document does not tell of.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import brotli
import jsonschema_rs
import orjson
from pyramid.exceptions import URLDecodeError
from pyramid.request import Request
from pyramid.router import Router

from mealshare.api.openapi import build_document, split_pattern
from mealshare.api.routes import allowed_methods

#: Headers that mean something to a client of the API: what is sent of them must stand in the document.
TOLD = frozenset(
    {
        "link", "location", "etag", "retry-after", "www-authenticate", "x-ratelimit-limit", "x-ratelimit-remaining",
        "x-ratelimit-reset", "x-request-id", "idempotency-replayed", "deprecation", "sunset",
    }
)  # fmt: skip
#: What a body may be of a request that prefers a page to JSON: that is for people, and not part of the contract.
PAGE = "text/html"


#: Each coding with what takes it off; HEAD has the header and nothing to take it off from.
DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": lambda body: gzip.decompress(body) if body else body,
    "br": lambda body: brotli.decompress(body) if body else body,
}


class Conforming:
    """The application, whose answers are checked; otherwise it is the application."""

    def __init__(self, application: Router) -> None:
        self._application = application
        self._document: dict[str, Any] | None = None
        self._validators: dict[tuple[str, ...], Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._application, name)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        heard: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            heard.append((status, headers))
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        body = self._application(environ, start)
        name = self._route_name(environ)
        if name not in self._application.registry["api_routes"] or not heard:
            return body
        status, headers = heard[-1]
        names = {name.lower(): value for name, value in headers}
        if names.get("content-type", "").startswith("text/event-stream"):
            return body
        if status.startswith("200") and "fields=" in environ.get("QUERY_STRING", ""):
            # Only some members were asked for; the schema tells of all.  The rest of the answer is checked as for HEAD.
            method = "HEAD"
        return self._checked(name, method, int(status[:3]), names, body)

    def _checked(
        self, name: str, method: str, status: int, headers: dict[str, str], body: Iterable[bytes]
    ) -> Iterator[bytes]:
        """The body, which is read to its end and checked when the server asks for it."""
        try:
            whole = b"".join(body)
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()
        plain = DECODERS[headers.get("content-encoding", "")](whole)
        problem = self.find_fault(name, method, status, headers, plain)
        assert problem is None, f"{method} {name} answered {status}, and the API document says otherwise: {problem}"
        yield whole

    def find_fault(self, name: str, method: str, status: int, headers: dict[str, str], body: bytes) -> str | None:
        """What of an answer of the route ``name`` the document does not tell of; None if it tells of everything."""
        path, _ = split_pattern(self._application.registry["api_routes"][name].pattern)
        item = self.document["paths"].get(path)
        if item is None:
            # Not for other programs, such as the document itself.
            return None
        asked = "get" if method == "HEAD" and "head" not in item else method.lower()
        if not method.isupper() or asked not in item:
            # Methods are case-sensitive: "get" is not GET.
            return self._fault_of_unknown(name, method, status)
        answers = item[asked]["responses"]
        if status == 303 and asked == "get":
            # From a page's form to its address without what was left empty: for people, as the page is.
            return None
        if str(status) not in answers:
            return f"the status is not among {', '.join(answers)}"
        answer, place = self._resolve(answers[str(status)], path, asked, str(status))
        untold = (TOLD & headers.keys()) - {told.lower() for told in answer.get("headers", {})}
        if untold:
            return f"no header {', '.join(sorted(untold))}"
        kind = headers.get("content-type", "").partition(";")[0]
        if kind == PAGE or method == "HEAD":
            return None
        if not body:
            return "a body" if "content" in answer else None
        if kind not in answer.get("content", {}):
            return f"no content of the type {kind}"
        return self._fault_of_body(answer["content"][kind]["schema"], (*place, kind), body)

    def _route_name(self, environ: dict[str, Any]) -> str:
        """The route that the router took; empty for none."""
        try:
            route = self._application.routes_mapper(Request(environ))["route"]
        except URLDecodeError:
            return ""
        return "" if route is None else str(route.name)

    @property
    def document(self) -> dict[str, Any]:
        """The document of this application."""
        if self._document is None:
            self._document = build_document(self._application.registry)
        return self._document

    def _fault_of_unknown(self, name: str, method: str, status: int) -> str | None:
        """Of a method that the address does not have: it is refused, and OPTIONS is answered everywhere."""
        if method == "OPTIONS" or method in allowed_methods(self._application.registry, name) or status >= 400:
            return None
        return "there is no such method"

    def _resolve(self, answer: dict[str, Any], *place: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        reference = answer.get("$ref")
        if reference is None:
            return answer, place
        name = reference.removeprefix("#/components/responses/")
        return self.document["components"]["responses"][name], ("components", name)

    def _fault_of_body(self, schema: dict[str, Any], place: tuple[str, ...], body: bytes) -> str | None:
        validator = self._validators.get(place)
        if validator is None:
            whole = {**schema, "components": self.document["components"]}
            validator = self._validators[place] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        faults = [
            f"{'/'.join(map(str, fault.instance_path))}: {fault.message[:300]}"
            for fault in validator.iter_errors(orjson.loads(body))
        ]
        return "; ".join(faults[:3]) or None
