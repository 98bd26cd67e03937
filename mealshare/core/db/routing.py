"""Who reads from the replica, where there is one: whoever must not see at once what has just been written.

GET and HEAD may, all else goes to the primary.  Whoever has changed something reads from the primary for a while, which is
longer than the replica may be behind: so they see what they did.  That is remembered in two places.  A browser has a
cookie, which says nothing else and is nothing worth forging: it only ever leads to the primary.  An account has an entry
in the shared cache, for programs and for a second browser; while the cache does not answer, or is not shared, everybody
who is signed in reads from the primary.

Sessions, grants and tokens are always asked of the primary (`request.primary_conn`), and so are streams: that somebody
has logged out is true at once.
"""

from __future__ import annotations

import math
from typing import Any

from pyramid.request import Request

from mealshare.core.db.engine import DatabaseSettings
from mealshare.core.log import USER
from mealshare.core.security.policy import has_bearer, identity_if_known
from mealshare.core.settings import settings_of

#: The cookie of a browser that has just changed something.
COOKIE = "fresh"
_MAY = "_mealshare_may_read_replica"
_PINNED = "_mealshare_pinned"


def may_read_replica(request: Request) -> bool:
    """Whether this request may be answered from the replica; decided once."""
    known = request.__dict__
    may: bool | None = known.get(_MAY)
    if may is None:
        # Whoever asks while this is found out (who is it?) has the primary.
        known[_MAY] = False
        may = known[_MAY] = _decide(request)
    return may


def _decide(request: Request) -> bool:
    environ, registry = request.environ, request.registry
    # Another attempt may have come of the replica itself.
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD") or environ.get("retry.attempt"):
        return False
    if not registry["replica"].usable() or registry["cookies"].get(request, COOKIE) is not None:
        return False
    identity = identity_if_known(request)
    if identity is None:
        return True
    cache = registry["cache"]
    if not cache.shared:
        return False
    found = cache.get_many([_key(identity.account_id)])
    return found is not None and found[0] is None


def pin(request: Request) -> None:
    """From the end of this request, which changes something, its sender reads from the primary for a while."""
    if request.registry.get("replica") is None or _PINNED in request.__dict__:
        return
    request.__dict__[_PINNED] = True
    request.add_response_callback(_pin)


def _pin(request: Request, response: Any) -> None:
    registry = request.registry
    seconds = settings_of(registry, DatabaseSettings).replica_pin_seconds
    account_id = request.environ.get(USER)
    if account_id is not None:
        registry["cache"].set(_key(account_id), b"1", seconds)
    if not has_bearer(request):
        registry["cookies"].set(response, COOKIE, "1", max_age=math.ceil(seconds))


def _key(account_id: int) -> str:
    return f"fresh:{account_id}"
