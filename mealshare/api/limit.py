"""The rate limit of the API: one hit a request, counted once, and told in the headers of every answer."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from pyramid.request import Request

from mealshare.core.ratelimit import Decision, address_key

#: In the environ, because a request that is tried again after a conflict is still one request.
_DECISION = "mealshare.api.limit"
_address_key = lru_cache(maxsize=4096)(address_key)


def spend(request: Request) -> Decision | None:
    """Count this request, the first time it is asked about; None when the application has no limiter."""
    environ = request.environ
    if _DECISION in environ:
        known: Decision | None = environ[_DECISION]
        return known
    limiter = request.registry.get("ratelimit")
    decision: Decision | None = limiter.hit("api", _client(request)) if limiter is not None else None
    environ[_DECISION] = decision
    return decision


def limit_headers(decision: Decision | None) -> list[tuple[str, str]]:
    """``X-RateLimit-*``; Reset is in seconds since the epoch, as most APIs have it."""
    if decision is None:
        return []
    return [
        ("X-RateLimit-Limit", str(decision.limit)),
        ("X-RateLimit-Remaining", str(decision.remaining)),
        ("X-RateLimit-Reset", str(math.ceil(decision.reset_at.timestamp()))),
    ]


def _client(request: Request) -> str:
    """The account, or the address of a visitor (also of one whose token does not count)."""
    identity: Any = None
    try:
        identity = request.identity
    except Exception:  # A bad token, or a database that does not answer; another place reports that.
        identity = None
    if identity is not None:
        return f"account:{identity.account_id}"
    return f"address:{_address_key(request.environ.get('REMOTE_ADDR', ''))}"
