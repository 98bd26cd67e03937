"""The rate limits of the API: a request counts once, under every limit that it falls under, and each answer tells them.

``X-RateLimit-*`` tell the limit that is used up first, as most APIs have it.  ``RateLimit-Policy`` and ``RateLimit``
(draft-ietf-httpapi-ratelimit-headers-10) tell all of them by name: ``"api";r=299;t=300, "write";r=149;t=300``.
"""

from __future__ import annotations

import math
import time
from functools import lru_cache

from pyramid.request import Request

from mealshare.core.ratelimit import Spent, spend_for
from mealshare.core.ratelimit.requests import GENERAL, WRITE
from mealshare.core.security.csrf import SAFE_METHODS

#: What every answer may carry, for the OpenAPI document and for CORS.
LIMIT_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit-Policy", "RateLimit")


def class_of(method: str, limit: str | None) -> str:
    """The class of an operation: the one it was declared with, or what follows from its method."""
    return limit or (GENERAL if method in SAFE_METHODS else WRITE)


def spend(request: Request, limit: str = GENERAL) -> Spent | None:
    """Count this request, the first time it is asked about, generally and for the class ``limit``.

    None when the application has no limiter.
    """
    return spend_for(request, _names(limit))


def limit_headers(spent: Spent | None) -> list[tuple[str, str]]:
    """The headers; ``X-RateLimit-Reset`` is in seconds since the epoch, ``t`` in seconds from now."""
    if spent is None:
        return []
    tightest, now = spent.tightest, time.time()
    left = [f'"{one.name}";r={one.remaining};t={max(0, math.ceil(one.reset - now))}' for one in spent.decisions]
    return [
        ("X-RateLimit-Limit", str(tightest.limit)),
        ("X-RateLimit-Remaining", str(tightest.remaining)),
        ("X-RateLimit-Reset", str(math.ceil(tightest.reset))),
        ("RateLimit-Policy", _policy(tuple([(one.name, one.limit, one.seconds) for one in spent.decisions]))),
        ("RateLimit", ", ".join(left)),
    ]


@lru_cache(maxsize=64)
def _policy(limits: tuple[tuple[str, int, int], ...]) -> str:
    return ", ".join(f'"{name}";q={amount};w={seconds}' for name, amount, seconds in limits)


@lru_cache(maxsize=64)
def _names(limit: str) -> tuple[str, ...]:
    return (GENERAL,) if limit == GENERAL else (GENERAL, limit)
