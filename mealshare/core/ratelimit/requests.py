"""Which limits a request falls under, and who it counts for: the same for pages and for the API.

==============  ==================================================  =====================
``api``         every request to the API                            account, else address
``write``       what changes something, in the API and with forms   account, else address
``search``      searching and completing, in the API and on pages   account, else address
``batch``       a batch; each request in it counts by itself too    account, else address
``stream``      opening a stream                                    account, else address
``address``     API requests and forms of those who are signed in   address
==============  ==================================================  =====================

``address`` is much larger than the others: behind one address there may be a school or a telephone company, but a
thousand accounts that one machine runs are noticed.  A visitor's address is counted by the others already.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from mealshare.core.derivers import View, deriver
from mealshare.core.errors import TooMany
from mealshare.core.ratelimit.limiter import Decision, RateLimiter
from mealshare.core.security.csrf import SAFE_METHODS
from mealshare.core.security.policy import identity_if_known

GENERAL, WRITE, ADDRESS = "api", "write", "address"
#: The classes that an operation or a page may be of; ``GENERAL`` adds nothing to what every operation counts for.
CLASSES = frozenset({GENERAL, WRITE, "search", "batch", "stream"})
#: In the environ, because a request that is tried again after a conflict is still one request.
_SPENT = "mealshare.ratelimit.spent"


@dataclass(frozen=True, slots=True)
class Spent:
    """What one request used up: a decision for each limit that it fell under."""

    decisions: Sequence[Decision]

    @property
    def tightest(self) -> Decision:
        """The limit that is used up first; of those that refuse the request, the one that does so for longest."""
        if len(self.decisions) == 1:
            return self.decisions[0]
        return min(self.decisions, key=lambda one: (one.allowed, -one.retry_after, one.remaining, -one.reset))

    @property
    def allowed(self) -> bool:
        """Whether the request may go on."""
        return all(one.allowed for one in self.decisions)

    @property
    def limit(self) -> int:
        """How many hits the tightest limit allows."""
        return self.tightest.limit

    @property
    def retry_after(self) -> int:
        """Seconds to wait; 0 when it is allowed."""
        return self.tightest.retry_after


def spend_for(request: Request, names: Sequence[str]) -> Spent | None:
    """Count the request against the limits ``names``, the first time it is asked about; later the same answer.

    None when the application has no limiter.
    """
    environ = request.environ
    if _SPENT in environ:
        known: Spent | None = environ[_SPENT]
        return known
    limiter: RateLimiter | None = request.registry.get("ratelimit")
    spent: Spent | None = None
    if limiter is not None:
        address = f"address:{_address_key(environ.get('REMOTE_ADDR', ''))}"
        account = _account(request)
        client = address if account is None else f"account:{account}"
        asked = [(name, client) for name in names]
        if account is not None:
            asked.append((ADDRESS, address))
        spent = Spent(limiter.hit_all(asked))
    environ[_SPENT] = spent
    return spent


def _account(request: Request) -> int | None:
    """The id of the account; None for a visitor, and for one whose token does not count."""
    identity = identity_if_known(request)
    return None if identity is None else identity.account_id


@deriver("limit")
def limited(view: View, info: Any) -> View:
    """View deriver: what pages change counts with what the API changes, and is refused with it (429).

    The option ``limit`` of a view names another class, also for reading; ``None`` leaves it out, where a narrower limit
    holds anyway or where refusing would do harm: whoever has stolen a session could use the limit up, and the owner must
    still be able to end it.  Operations of the API count by themselves.
    """
    if info.exception_only:
        return view
    given = info.options.get("limit", WRITE)
    if given is None:
        return view
    if given not in CLASSES:
        raise ValueError(f"there is no class of limits called {given!r}")
    names, reads = (given,), "limit" in info.options

    def wrapped(context: Any, request: Request) -> Response:
        environ = request.environ
        if (reads or environ["REQUEST_METHOD"] not in SAFE_METHODS) and not environ["PATH_INFO"].startswith("/api/"):
            spent = spend_for(request, names)
            if spent is not None and not spent.allowed:
                raise TooMany(spent.retry_after, spent.limit)
        return view(context, request)

    return wrapped


def address_key(address: str | None) -> str:
    """The part of a client's address that stands for the client.

    An IPv6 subscriber owns a whole /64 (RFC 6177), so all of it is one client; an IPv4 address written as IPv6 is the
    IPv4 address.  What is no address, as behind a Unix socket, is ``"unknown"``: one client together.
    """
    text = (address or "").strip().removeprefix("[").partition("]")[0].partition("%")[0]
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


_address_key = lru_cache(maxsize=4096)(address_key)
