"""What a browser does with another origin's answers, written down from the standard, and what a site promises.

`fetch` is the HTTP fetch of https://fetch.spec.whatwg.org/ as far as it is about origins, in plain words and without a
network: it is handed a function that asks the site.  `promised` says from the settings alone what a script is to get.
Neither knows anything of `mealshare.api.cors`; the tests compare the two, and both with a real Chromium.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

#: Status and headers (names in lower case, repeated ones joined) for a method, a path and request headers.
Ask = Callable[[str, str, dict[str, str]], tuple[int, dict[str, str]]]

#: Section 2.2.1: a CORS-safelisted method.
SAFE_METHODS = frozenset({"GET", "HEAD", "POST"})
#: Section 2.2.2: CORS-safelisted request-header names (values that are harmless are taken for granted), and the types
#: with which Content-Type is one.
SAFE_HEADERS = frozenset({"accept", "accept-language", "content-language", "range"})
SAFE_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
#: CORS-safelisted response-header names: a script reads them without being allowed to.
READ_ANYWAY = frozenset(
    {"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma"}
)
#: Section 4.9, HTTP-network-or-cache fetch: what the browser itself writes, so that no script can and none is asked about.
BROWSERS_OWN = frozenset({"origin", "cookie", "host", "referer", "user-agent", "accept-encoding", "content-length"})


@dataclass(frozen=True)
class Script:
    """What a script asks for: ``fetch(address, {method, headers, credentials})`` on a page of ``origin``."""

    origin: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    credentials: bool = False


@dataclass(frozen=True)
class Seen:
    """What the script sees: nothing at all (``status`` is None), or the answer and the names that it may read."""

    status: int | None
    names: frozenset[str] = frozenset()


REFUSED = Seen(None)


@dataclass(frozen=True)
class Promise:
    """The settings of a site, as its host understands them."""

    origins: frozenset[str]
    methods: frozenset[str]
    headers: frozenset[str]
    exposed: frozenset[str]
    allow_all: bool = False
    credentials: bool = False


def unsafe_names(headers: Mapping[str, str]) -> list[str]:
    """Section 2.2.2, CORS-unsafe request-header names: sorted, in lower case."""
    unsafe = []
    for name, value in headers.items():
        lower = name.lower()
        if lower == "content-type":
            if value.partition(";")[0].strip().lower() not in SAFE_TYPES:
                unsafe.append(lower)
        elif lower not in SAFE_HEADERS:
            unsafe.append(lower)
    return sorted(unsafe)


def fetch(script: Script, path: str, ask: Ask) -> Seen:
    """Section 4.3, HTTP fetch in the mode "cors": a preflight where one is needed, the request, the CORS check."""
    unsafe = unsafe_names(script.headers)
    if script.method not in SAFE_METHODS or unsafe:
        # Section 4.8, CORS-preflight fetch.
        question = {"Origin": script.origin, "Access-Control-Request-Method": script.method}
        if unsafe:
            question["Access-Control-Request-Headers"] = ",".join(unsafe)
        status, answer = ask("OPTIONS", path, question)
        if not check(script, answer) or not 200 <= status <= 299:
            return REFUSED
        methods, names = listed(answer, "methods"), [name.lower() for name in listed(answer, "headers")]
        wild = not script.credentials
        if script.method not in methods and script.method not in SAFE_METHODS and not (wild and "*" in methods):
            return REFUSED
        # The wildcard never covers Authorization.
        if any(name not in names and not (wild and "*" in names and name != "authorization") for name in unsafe):
            return REFUSED
    status, answer = ask(script.method, path, {"Origin": script.origin, **script.headers})
    if not check(script, answer):
        return REFUSED
    return Seen(status, readable(script, answer))


def check(script: Script, answer: Mapping[str, str]) -> bool:
    """Section 4.10, CORS check."""
    granted = answer.get("access-control-allow-origin")
    if granted is None:
        return False
    if not script.credentials and granted == "*":
        return True
    if granted != script.origin:
        return False
    return not script.credentials or answer.get("access-control-allow-credentials") == "true"


def readable(script: Script, answer: Mapping[str, str]) -> frozenset[str]:
    """Section 2.2.6, CORS filtered response: the names of the headers that the script is shown."""
    exposed = {name.lower() for name in listed(answer, "expose-headers", prefix="access-control-")}
    if "*" in exposed and not script.credentials:
        exposed = set(answer)
    return frozenset(name for name in answer if name in exposed | READ_ANYWAY and name != "set-cookie")


def listed(answer: Mapping[str, str], name: str, prefix: str = "access-control-allow-") -> list[str]:
    """The members of one of the lists."""
    return [part.strip() for part in answer.get(prefix + name, "").split(",") if part.strip()]


def promised(promise: Promise, script: Script, *, shared: bool) -> bool:
    """Whether the script gets an answer at all; ``shared``: the address is one for other sites' scripts."""
    if not shared or (script.credentials and not promise.credentials):
        return False
    if not promise.allow_all and script.origin not in promise.origins:
        return False
    if script.method not in SAFE_METHODS and script.method not in promise.methods:
        return False
    return {name.lower() for name in unsafe_names(script.headers)} <= {name.lower() for name in promise.headers}
