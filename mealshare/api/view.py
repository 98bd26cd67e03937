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

from mealshare.api.body import JSON, accepted_types, is_bodiless, read_form, read_json
from mealshare.api.deprecation import Deprecation
from mealshare.api.fields import FIELDS, Shape, shape_of, take_fields
from mealshare.api.idempotency import HEADER as IDEMPOTENCY_KEY
from mealshare.api.idempotency import KeyRefused, once
from mealshare.api.limit import class_of, limit_headers, spend
from mealshare.api.links import Link
from mealshare.api.query import parse_query, refuse_query
from mealshare.api.reply import adopt, respond
from mealshare.core.errors import BadRequest, TooMany
from mealshare.core.ratelimit.requests import CLASSES
from mealshare.core.security.csrf import SAFE_METHODS

#: The category of the introspectables that the OpenAPI document is made from.
OPERATIONS = "api operations"

#: In the environ of a request that came in a batch (`mealshare.api.batch`).
IN_BATCH = "mealshare.api.in_batch"

F = TypeVar("F", bound=Callable[..., Any])


class NotInBatch(BadRequest):
    """The operation cannot be part of a batch (400)."""

    code = "not_in_batch"


@dataclass(frozen=True)
class Operation:
    """One declared operation."""

    function: Callable[..., Any]
    route_name: str
    request_method: str
    permission: str | None = None
    body: type[BaseModel] | None = None
    body_type: str = JSON
    body_optional: bool = False
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
    #: Whether its success carries an ``ETag``; None: every GET that returns something does.
    etag: bool | None = None
    #: The type of what it returns; another than JSON is a response that the view has built itself.
    media_type: str = JSON
    #: Examples for the document; of an object, the members that are otherwise than their fields' examples.
    body_example: Any = None
    example: Any = None
    #: What the answer leads to.
    links: tuple[Link, ...] = ()
    deprecation: Deprecation | None = None
    #: Whether it heeds an ``Idempotency-Key``; not where what it does is done outside of the request's transaction.
    takes_key: bool = True
    #: Whether its answer may be kept for a repeated request; not where it holds a secret.
    keep_answer: bool = True
    #: The class of rate limits that it counts for besides the general one (`mealshare.core.ratelimit.requests`); None:
    #: a change is a ``write``, and reading adds nothing.  ``"api"`` says that a change adds nothing either.
    limit: str | None = None
    context: Any = None
    predicates: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.body is not None and self.multipart is not None:
            raise ValueError(f"{self.function.__qualname__}: a view has a body or a multipart form, not both")
        if self.limit is not None and self.limit not in CLASSES:
            raise ValueError(f"{self.function.__qualname__}: there is no class of limits called {self.limit!r}")
        if self.query is not None and FIELDS in self.query.model_fields:
            raise ValueError(
                f"{self.function.__qualname__}: the query parameter {FIELDS} means the members of the answer"
            )

    @property
    def keyed(self) -> bool:
        """Whether a signed-in client may send an ``Idempotency-Key``."""
        return self.takes_key and self.request_method not in SAFE_METHODS

    @property
    def in_batch(self) -> bool:
        """Whether it can be part of a batch: JSON in and out, no secrets, all that it does in one transaction."""
        repeatable = self.takes_key or self.request_method in SAFE_METHODS
        return self.multipart is None and self.media_type == JSON and self.keep_answer and repeatable

    @property
    def shape(self) -> Shape | None:
        """The members that a client may select with ``fields``; None where there are none to select."""
        return shape_of(self.returns) if self.request_method == "GET" and self.media_type == JSON else None


def api_view(*, route_name: str, request_method: str = "GET", **options: Any) -> Callable[[F], F]:
    """Declare an operation; ``config.scan`` registers it.

    ``permission``: as for any view; without one nobody may.  ``query``, ``body`` (with ``body_type``; where it is
    ``body_optional``, none at all is an empty object), ``multipart``: pydantic schemas of what comes in; a query
    parameter that no schema names is refused.  ``returns``, ``status``: what
    goes out (200; None goes out as 204).  ``context``: the class of the context.  For the document: ``summary``,
    ``description``, ``tags``, ``errors`` (problem codes beside those that go without saying), ``paged``, ``anonymous``,
    ``documented``, ``etag``, ``body_example``, ``example``, ``links``.  ``deprecation``: it will go, and says so in
    every answer.  ``takes_key``, ``keep_answer``: see `mealshare.api.idempotency`.  ``limit``: its class of rate limits.
    ``media_type``: that of a response which the view builds itself.  ``predicates``: further view predicates.
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
    going = {} if operation.deprecation is None else {"deprecation": operation.deprecation}
    config.add_view(
        checked(operation),
        route_name=operation.route_name,
        request_method=operation.request_method,
        permission=operation.permission,
        context=operation.context,
        **order,
        **going,
        **operation.predicates,
    )
    key = (operation.route_name, operation.request_method, repr(operation.context), repr(operation.predicates))
    title = f"{operation.request_method} {operation.route_name}"
    introspectable = config.introspectable(OPERATIONS, key, title, "api operation")
    introspectable["operation"] = operation
    config.action((OPERATIONS, *key), introspectables=(introspectable,))


def checked(operation: Operation) -> Callable[[Any, Request], Response]:
    """The view as Pyramid calls it: limit, fields, query, body, the function, the response."""
    function, status = operation.function, operation.status
    query, body, multipart = operation.query, operation.body, operation.multipart
    types = accepted_types(operation.request_method, operation.body_type)
    limit = class_of(operation.request_method, operation.limit)
    shape = operation.shape
    unsafe, keyed = operation.request_method not in SAFE_METHODS, operation.keyed
    keep_answer, in_batch = operation.keep_answer, operation.in_batch

    @functools.wraps(function)
    def view(context: Any, request: Request) -> Response:
        decision = spend(request, limit)
        if decision is not None and not decision.allowed:
            raise TooMany(decision.retry_after, decision.limit)
        if not in_batch and IN_BATCH in request.environ:
            raise NotInBatch
        told = limit_headers(decision)
        if unsafe and IDEMPOTENCY_KEY in request.environ and request.identity is not None:
            if not keyed:
                raise KeyRefused
            return once(request, lambda: answer(context, request, told), told, keep_answer=keep_answer)
        return answer(context, request, told)

    def answer(context: Any, request: Request, told: list[tuple[str, str]]) -> Response:
        arguments: dict[str, Any] = {}
        text = request.environ.get("QUERY_STRING", "")
        selection = None
        if shape is not None and FIELDS in text:
            selection, text = take_fields(text, shape)
        if query is not None:
            arguments["query"] = parse_query(text, query)
        elif text:
            refuse_query(text)
        if body is not None:
            left_out = operation.body_optional and is_bodiless(request)
            arguments["body"] = body() if left_out else read_json(request, body, types)
        elif multipart is not None:
            arguments["form"] = read_form(request, multipart)
        result = function(context, request, **arguments)
        if isinstance(result, Response):
            return adopt(result, told)
        return respond(request, result, status, told, selection)

    return view
