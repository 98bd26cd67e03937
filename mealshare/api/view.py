"""``@api_view``: an operation of the JSON face, declared once for the router, the checks and the OpenAPI document.

The function is called as ``function(context, request, query=..., body=..., form=...)``, each only where a schema for it
is declared, and returns a dataclass, a list of them, a dict, `RawJson`, a `Reply` around one of these, a response, or
None.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import venusian
from pydantic import BaseModel
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from mealshare.api.body import JSON, accepted_types, read_form, read_json
from mealshare.api.limit import limit_headers, spend
from mealshare.api.query import read_query, refuse_query
from mealshare.api.reply import adopt, respond
from mealshare.core.errors import TooMany

#: The category of the introspectables that the OpenAPI document is made from.
OPERATIONS = "api operations"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Operation:
    """One declared operation."""

    function: Callable[..., Any]
    route_name: str
    request_method: str
    permission: str | None = None
    body: type[BaseModel] | None = None
    body_type: str = JSON
    multipart: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    returns: Any = None
    status: int = 200
    summary: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    paged: bool = False
    #: Whether the document says that it works without signing in; None: it does if the permission is everybody's.
    anonymous: bool | None = None
    documented: bool = True
    context: Any = None
    predicates: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.body is not None and self.multipart is not None:
            raise ValueError(f"{self.function.__qualname__}: a view has a body or a multipart form, not both")


def api_view(*, route_name: str, request_method: str = "GET", **options: Any) -> Callable[[F], F]:
    """Declare an operation; ``config.scan`` registers it.

    ``permission``: as for any view; without one nobody may.  ``query``, ``body`` (with ``body_type``), ``multipart``:
    pydantic schemas of what comes in; a query parameter that no schema names is refused.  ``returns``, ``status``: what
    goes out (200; None goes out as 204).  ``context``: the class of the context.  For the document: ``summary``,
    ``description``, ``tags``, ``errors`` (problem codes beside those that go without saying), ``paged``, ``anonymous``,
    ``documented``.  ``predicates``: further view predicates.
    """

    def decorate(function: F) -> F:
        operation = Operation(function, route_name, request_method, **options)

        def register(scanner: Any, name: str, found: Any) -> None:
            add_operation(scanner.config.with_package(attached.module), operation)

        attached = venusian.attach(function, register, category="pyramid")
        return function

    return decorate


def add_operation(config: Configurator, operation: Operation) -> None:
    """Register the view of ``operation``, its method for ``Allow``, and its entry for the OpenAPI document."""
    registry = config.registry
    registry["api_methods"].setdefault(operation.route_name, set()).add(operation.request_method)
    order = {"tried_first": True} if operation.request_method == "GET" else {}
    config.add_view(
        checked(operation),
        route_name=operation.route_name,
        request_method=operation.request_method,
        permission=operation.permission,
        context=operation.context,
        **order,
        **operation.predicates,
    )
    key = (operation.route_name, operation.request_method, repr(operation.context), repr(operation.predicates))
    title = f"{operation.request_method} {operation.route_name}"
    introspectable = config.introspectable(OPERATIONS, key, title, "api operation")
    introspectable["operation"] = operation
    config.action((OPERATIONS, *key), introspectables=(introspectable,))


def checked(operation: Operation) -> Callable[[Any, Request], Response]:
    """The view as Pyramid calls it: limit, query, body, the function, the response."""
    function, status = operation.function, operation.status
    query, body, multipart = operation.query, operation.body, operation.multipart
    types = accepted_types(operation.request_method, operation.body_type)

    @functools.wraps(function)
    def view(context: Any, request: Request) -> Response:
        decision = spend(request)
        if decision is not None and not decision.allowed:
            raise TooMany(decision.retry_after, decision.limit)
        arguments: dict[str, Any] = {}
        if query is not None:
            arguments["query"] = read_query(request, query)
        elif request.environ.get("QUERY_STRING"):
            refuse_query(request)
        if body is not None:
            arguments["body"] = read_json(request, body, types)
        elif multipart is not None:
            arguments["form"] = read_form(request, multipart)
        result = function(context, request, **arguments)
        if isinstance(result, Response):
            return adopt(result, limit_headers(decision))
        return respond(request, result, status, limit_headers(decision))

    return view
