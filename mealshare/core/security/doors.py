"""What the views behind an address ask of a token, known before anything is looked up for its owner.

A route's factory looks a thing up with the eyes of whoever asks, and only then does the view ask for its permission.
For a token that is too late: one that may not read would learn from 403 or 404 which of its owner's hidden things are
there.  So the authenticator asks here first what stands behind the address.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.security import NO_PERMISSION_REQUIRED

from mealshare.core.security.permissions import CorePermission, RuleBook

_DOORS = "security_doors"


@dataclass(frozen=True)
class Door:
    """The views for one method of an address.

    ``permission`` is what they ask for, of several the first by name; ``scopes`` are those of which a token needs one
    (none if some view takes any token); ``public`` is True when all views are everybody's.
    """

    permission: str
    scopes: frozenset[str]
    public: bool


#: Where nothing is, anybody may look.
NOTHING = Door(CorePermission.PUBLIC, frozenset(), public=True)


def door_of(request: Request) -> Door:
    """The door that the request stands before; `NOTHING` for an address or a method that has no view."""
    route = request.matched_route
    if route is None:
        return NOTHING
    doors = request.registry.get(_DOORS)
    if doors is None:
        # Only when it is whole: another thread may ask at this moment.
        doors = request.registry[_DOORS] = all_doors(request.registry)
    method = "GET" if request.method == "HEAD" else request.method
    door: Door = doors.get((route.name, method)) or doors.get((route.name, None)) or NOTHING
    return door


def all_doors(registry: Registry) -> dict[tuple[str, str | None], Door]:
    """Every door by route and method; the method None stands for the views that take any."""
    asked: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    for item in registry.introspector.get_category("views") or ():
        view = item["introspectable"]
        given = view["request_methods"]
        methods: Iterable[str | None] = (given,) if given is None or isinstance(given, str) else given
        permissions = [other["value"] for other in item["related"] if other.category_name == "permissions"]
        for method in methods:
            asked[view["route_name"] or "", method].update(map(str, permissions or [CorePermission.NOBODY]))
    return {key: _door(registry["rules"], sorted(permissions)) for key, permissions in asked.items()}


def _door(book: RuleBook, permissions: list[str]) -> Door:
    scopes = [book.scope_of(permission) for permission in permissions]
    needed = frozenset(scope for scope in scopes if scope is not None) if all(scopes) else frozenset()
    public = all(permission == NO_PERMISSION_REQUIRED or book.is_public(permission) for permission in permissions)
    return Door(permissions[0], needed, public)
