"""A client of the MealShare API with httpx: small, typed, and right where it is easy to be wrong.

Everything is synchronous, and a client may be used by several threads at once.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import httpx

MERGE_PATCH = "application/merge-patch+json"
#: How often a request is sent when no answer comes, or the site is busy.
ATTEMPTS = 4


class Tokens(TypedDict):
    """What a login gives."""

    access_token: str
    refresh_token: str
    expires_in: int
    scope: str


class Photo(TypedDict):
    """A picture; ``state`` is processing, ready or failed."""

    id: str
    url: str | None
    description: str
    state: str
    error: str | None


class Person(TypedDict):
    """Somebody, as they stand beside what they wrote."""

    username: str
    display_name: str
    url: str


class Meal(TypedDict):
    """A meal; the site sends more than is named here."""

    id: str
    url: str
    user: Person
    food: str
    note: str
    meal_type: str
    eaten_at: str
    media: list[Photo]
    version: int


class NewMeal(TypedDict):
    """What a meal is posted with: ``food`` or a picture, and whatever else you know."""

    food: NotRequired[str]
    note: NotRequired[str]
    meal_type: NotRequired[str]
    eaten_at: NotRequired[str]
    visibility: NotRequired[str]
    tags: NotRequired[list[str]]
    media: NotRequired[list[dict[str, str]]]


class ProblemError(Exception):
    """The site refused: a problem document (RFC 9457).

    ``code`` is the last part of its type and what a program should look at; ``detail`` is for people, in their language.
    ``errors`` says of each input what is wrong with it, with a JSON pointer or the name of the parameter.
    """

    def __init__(self, document: dict[str, Any], status: int) -> None:
        self.status = status
        self.code = str(document.get("type", "")).rpartition("/")[2]
        self.detail = str(document.get("detail", ""))
        self.errors: list[dict[str, str]] = document.get("errors", [])
        self.request_id: str | None = document.get("request_id")
        super().__init__(f"{status} {self.code}: {self.detail}")


class TokenAuth(httpx.Auth):
    """Sends the access token, and gets a new one when it has run out.

    A refresh token is good once; a second use ends the sign-in.  So threads that find out at the same moment that the
    access token has run out wait at a lock for the one that refreshes it.  ``keep`` is called with new tokens before
    they are used: store them there, if they shall outlive the program.
    """

    def __init__(self, site: str, tokens: Tokens, keep: Callable[[Tokens], None] | None = None) -> None:
        self.site = site
        self.tokens = tokens
        self._keep = keep
        self._lock = threading.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See `httpx.Auth`: yields requests, and is sent their answers."""
        used = self.tokens
        request.headers["Authorization"] = f"Bearer {used['access_token']}"
        response = yield request
        if response.status_code != 401:
            # Not to be read here: it may be a stream, which has no end.
            return
        response.read()
        if problem_of(response).code != "token_expired":
            return
        with self._lock:
            # Another thread may have been here while this one waited.
            if self.tokens is used:
                body = {"refresh_token": used["refresh_token"]}
                # Without the Authorization header: a token that has run out is refused here too.
                refreshed = yield httpx.Request("POST", f"{self.site}/api/token/refresh", json=body)
                refreshed.read()
                if refreshed.is_error:
                    raise problem_of(refreshed)
                tokens: Tokens = refreshed.json()
                if self._keep is not None:
                    self._keep(tokens)
                self.tokens = tokens
        request.headers["Authorization"] = f"Bearer {self.tokens['access_token']}"
        yield request


def problem_of(response: httpx.Response) -> ProblemError:
    """The error that the answer tells of; one that is no problem document may come from a proxy in between."""
    try:
        document = response.json()
    except ValueError:
        document = {}
    return ProblemError(document if isinstance(document, dict) else {}, response.status_code)


class MealShare:
    """The API of the site at ``site``, such as ``https://meals.example``; use it in a ``with``.

    Every method raises `ProblemError` where the site refuses, and `httpx.TransportError` where no answer comes.
    """

    def __init__(self, site: str, tokens: Tokens | None = None, keep: Callable[[Tokens], None] | None = None) -> None:
        self.site = site.rstrip("/")
        self._keep = keep
        self._http = httpx.Client(base_url=self.site, timeout=httpx.Timeout(10, read=30))
        #: The meals that were read, with their ETags.
        self._seen: dict[str, tuple[str, Meal]] = {}
        if tokens is not None:
            self._use(tokens)

    def __enter__(self) -> MealShare:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def _use(self, tokens: Tokens) -> None:
        self._http.auth = TokenAuth(self.site, tokens, self._keep)

    # -- signing in

    def login(self, username: str, password: str) -> Tokens:
        """Sign in; from here on every request carries the token."""
        tokens: Tokens = self._send("POST", "/api/login", json={"username": username, "password": password}).json()
        self._use(tokens)
        if self._keep is not None:
            self._keep(tokens)
        return tokens

    def logout(self) -> None:
        """End the sign-in, for the refresh token too."""
        self._send("POST", "/api/logout")
        self._http.auth = httpx.Auth()

    # -- meals

    def post_meal(self, meal: NewMeal) -> Meal:
        """Post a meal.

        If no answer comes, nobody knows whether the request has arrived.  So it has a key, and is sent again with the
        same one: the site posts the meal once and repeats its first answer.
        """
        posted: Meal = self._send(
            "POST", "/api/meals", json=meal, headers={"Idempotency-Key": str(uuid.uuid4())}
        ).json()
        return posted

    def meal(self, meal_id: str) -> Meal:
        """A meal; one that has not changed since it was last read costs the site, and the line, next to nothing."""
        known = self._seen.get(meal_id)
        headers = {"If-None-Match": known[0]} if known is not None else {}
        response = self._send("GET", f"/api/meals/{meal_id}", headers=headers)
        if response.status_code == 304 and known is not None:
            return known[1]
        meal: Meal = response.json()
        self._seen[meal_id] = (response.headers["ETag"], meal)
        return meal

    def edit_meal(self, meal_id: str, change: Callable[[Meal], dict[str, Any]]) -> Meal:
        """Change a meal as it now is.

        ``change`` gets the meal and gives what is to be different (a merge patch, RFC 7396: None takes a value back to
        its default).  If somebody was quicker, it is asked again with the newer meal, so nothing is overwritten that it
        has not seen.
        """
        for attempt in range(ATTEMPTS):
            meal = self.meal(meal_id)
            etag = self._seen[meal_id][0]
            headers = {"If-Match": etag, "Content-Type": MERGE_PATCH}
            try:
                response = self._send(
                    "PATCH", f"/api/meals/{meal_id}", content=json.dumps(change(meal)), headers=headers
                )
            except ProblemError as problem:
                if problem.code != "precondition_failed" or attempt == ATTEMPTS - 1:
                    raise
            else:
                changed: Meal = response.json()
                return changed
        raise AssertionError("unreachable")

    def delete_meal(self, meal_id: str) -> None:
        """Delete a meal with its photos; this cannot be undone."""
        self._send("DELETE", f"/api/meals/{meal_id}")
        self._seen.pop(meal_id, None)

    def feed(self, address: str = "/api/feed/public", **filters: Any) -> Iterator[Meal]:
        """The meals of a list, page after page for as long as they are asked for; ``filters`` as the API names them."""
        page = self._send("GET", address, params=filters or None)
        while True:
            yield from page.json()
            following = page.links.get("next", {}).get("url")
            if following is None:
                return
            page = self._send("GET", following)

    # -- pictures

    def upload(self, file: Path, description: str, *, wait: float = 0) -> Photo:
        """Upload a picture; a meal may name it at once.

        ``wait``: seconds to wait until it can be shown.  Raises ValueError if it cannot be read.
        """
        with file.open("rb") as content:
            parts = {"file": (file.name, content)}
            photo: Photo = self._send("POST", "/api/media", files=parts, data={"description": description}).json()
        deadline = time.monotonic() + wait
        while photo["state"] == "processing" and time.monotonic() < deadline:
            time.sleep(0.25)
            photo = self._send("GET", f"/api/media/{photo['id']}").json()
        if photo["state"] == "failed":
            raise ValueError(photo["error"])
        return photo

    # -- live

    def stream(self, last_event_id: str | None = None) -> Iterator[tuple[str, Meal]]:
        """New meals as they are posted, each with its event id, until the site closes the stream.

        With the id of the last event that you saw, what came in between comes first.
        """
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
        # Between two events there may be silence; the site sends a comment every now and then.
        timeout = httpx.Timeout(10, read=90)
        with self._http.stream("GET", "/api/feed/stream", headers=headers, timeout=timeout) as response:
            if response.is_error:
                response.read()
                raise problem_of(response)
            for event in events_of(response.iter_lines()):
                if event.get("event", "message") == "meal":
                    yield event.get("id", ""), json.loads(event["data"])

    # -- how requests are sent

    def _send(self, method: str, address: str, **options: Any) -> httpx.Response:
        """The answer to a request that may be sent again; raises `ProblemError` for an error."""
        again = method in ("GET", "PUT", "DELETE") or "Idempotency-Key" in options.get("headers", {})
        for attempt in range(ATTEMPTS if again else 1):
            last = attempt == ATTEMPTS - 1 or not again
            try:
                response = self._http.request(method, address, **options)
            except httpx.TransportError:
                if last:
                    raise
                time.sleep(0.5 * 2**attempt)
                continue
            if response.status_code == 503 and not last:
                # The site is busy, and says for how long.
                time.sleep(min(30, int(response.headers.get("Retry-After", "1"))))
                continue
            if response.status_code >= 400:
                raise problem_of(response)
            return response
        raise AssertionError("unreachable")


def events_of(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Server-sent events (WHATWG HTML, 9.2): the fields of each, several lines of data joined."""
    event: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            event[name] = f"{event[name]}\n{value}" if name == "data" and "data" in event else value
