"""The JSON face of streams: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pyramid.httpexceptions import HTTPForbidden
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import Denied

from mealshare.api import api_view
from mealshare.api.query import BadQuery
from mealshare.core.errors import FieldError
from mealshare.core.lines import HAND_OVER, Listener
from mealshare.core.ratelimit import address_key
from mealshare.core.security.identity import AuthMethod
from mealshare.core.security.jwt import AccessTokens, TokenError
from mealshare.core.security.policy import AuthenticationFailed, bearer_token
from mealshare.features.meals.resources import viewer_of
from mealshare.features.meals.rules import MealPermission
from mealshare.features.streams.cursor import Cursor, id_before
from mealshare.features.streams.hub import POLL_MILLISECONDS, Hub, Who, catch_up, preface
from mealshare.features.streams.queries import Credential, missed_since
from mealshare.features.streams.schemas import StreamQuery
from mealshare.features.streams.vocabulary import Feed
from mealshare.features.timelines.rules import TimelinePermission

EVENT_STREAM = "text/event-stream"
_PERMISSIONS = {Feed.PUBLIC: MealPermission.LIST, Feed.HOME: TimelinePermission.HOME}
_HEADERS = (
    ("Content-Type", EVENT_STREAM),
    # No cache keeps it, and no proxy packs it (`no-transform`) or waits for its end (the last one: nginx).
    ("Cache-Control", "no-store, no-transform"),
    ("X-Accel-Buffering", "no"),
)

_EXAMPLE = (
    'retry: 3000\nid: 117653443951329280\n:\n\nevent: meal\nid: 117653443951329280-1a2c\ndata: {"id":"117653443951335980",'
    '"food":"Mapo tofu"}\n\n'
)


@api_view(
    route_name="api.feed.stream",
    request_method="GET",
    permission=MealPermission.LIST,
    query=StreamQuery,
    returns=str,
    media_type=EVENT_STREAM,
    etag=False,
    example=_EXAMPLE,
    limit="stream",
    tags=("feeds",),
    errors=("login_required", "scope_missing", "too_many_streams", "streams_full"),
    summary="Listen to new meals",
    description="Server-sent events: an event `meal` for each meal that is posted from now on and that you may see, with "
    "the meal as in the feeds. A stream only announces: it does not tell of later changes. Lines that begin with a colon "
    "come when nothing else does, to show that the connection lives. With `Last-Event-ID` you are first sent what you have "
    "missed, at most 100 meals; an event `reset` after them says that there were more, so read the feed again. An event "
    "`end` says why a stream ends (`time`, `token_expired`, `signed_out`, `restart`); begin a new one with a new token. "
    "`feed=home` needs you to be signed in.",
)
def stream_meals(context: Any, request: Request, query: StreamQuery) -> Response:
    """New meals, as they are posted."""
    allowed = request.has_permission(_PERMISSIONS[query.feed], context)
    if isinstance(allowed, Denied):
        raise HTTPForbidden(result=allowed)
    cursor = _cursor(request, query)
    hand_over = request.environ.get(HAND_OVER)
    if hand_over is None or request.method == "HEAD":
        return _once(request, query, cursor)
    hub: Hub = request.registry["streams"]
    listener = hub.admit(_who(request, query), cursor, request.primary_conn)
    try:
        # Afterwards: what is posted in between is told by the hub or found here, or both.
        missed = None if cursor is None else missed_since(request.primary_conn, query.feed, cursor, viewer_of(request))
        beginning = listener.begin(missed, request.registry["meal_json"])
    except BaseException:
        hub.forget(listener)
        raise
    return Response(app_iter=_Beginning(beginning, listener, hand_over), headerlist=[*_HEADERS])


def _once(request: Request, query: StreamQuery, cursor: Cursor | None) -> Response:
    """What was missed, and the end: for a server that cannot keep the connection open without keeping a thread.

    The client's own way of coming back makes it a question every ten seconds.
    """
    beginning = preface(cursor or Cursor(id_before(0)), POLL_MILLISECONDS)
    if cursor is not None:
        missed = missed_since(request.primary_conn, query.feed, cursor, viewer_of(request))
        beginning += catch_up(missed, cursor, request.registry["meal_json"], request.identity)
    return Response(beginning, headerlist=[*_HEADERS])


class _Beginning:
    """The body as far as the request's thread has to do with it; then the connection goes to ``listener``."""

    def __init__(self, beginning: bytes, listener: Listener, hand_over: Callable[[Listener], None]) -> None:
        self._beginning = beginning
        self._listener = listener
        self._hand_over = hand_over
        self._handed_over = False

    def __iter__(self) -> Iterator[bytes]:
        yield self._beginning
        self._handed_over = True
        self._hand_over(self._listener)

    def close(self) -> None:
        """Called by the server in any case, also when the client has gone."""
        if not self._handed_over:
            self._listener.closed()


def _cursor(request: Request, query: StreamQuery) -> Cursor | None:
    """Where to go on; None for a client that begins.

    A header that says nothing sensible is another site's, as when a client follows a redirect, and counts as none.
    """
    header = request.environ.get("HTTP_LAST_EVENT_ID", "")
    if header:
        try:
            return Cursor.parse(header)
        except ValueError:
            return None
    if query.last_event_id is None:
        return None
    try:
        return Cursor.parse(query.last_event_id)
    except ValueError:
        raise BadQuery(FieldError("last_event_id", "bad_id")) from None


def _who(request: Request, query: StreamQuery) -> Who:
    """Who listens, and by what it is found out whether they still may."""
    identity = request.identity
    address = address_key(request.environ.get("REMOTE_ADDR", ""))
    if identity is None:
        return Who(query.feed, None, None, address)
    if identity.method is not AuthMethod.BEARER or identity.personal:
        return Who(query.feed, identity, Credential.of(identity, None), address)
    access: AccessTokens = request.registry["access_tokens"]
    try:
        claims = access.verify(bearer_token(request))
    except TokenError as error:
        # It has expired since the request began.
        raise AuthenticationFailed(error.code) from None
    return Who(query.feed, identity, Credential.of(identity, claims.generation), address, claims.expires_at)
