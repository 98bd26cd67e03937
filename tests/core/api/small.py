"""The operations of the small application."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from pydantic import Field
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound, HTTPGone
from pyramid.request import Request
from pyramid_retry import RetryableException
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from mealshare.api import (
    NO_ETAG,
    Form,
    Link,
    PagedQuery,
    PathParam,
    Query,
    RawJson,
    Reply,
    Upload,
    api_view,
    check_not_modified,
    etag_of,
    page_headers,
    require_match,
)
from mealshare.core.db import Page
from mealshare.core.errors import (
    Conflict,
    InputInvalid,
    NotFound,
    StorageExhausted,
    TooMany,
)
from mealshare.core.i18n import _
from mealshare.core.security.identity import AuthMethod, Identity, Role
from mealshare.core.security.permissions import CorePermission, Denial, Permission, asking_scope
from mealshare.core.security.policy import AuthenticationFailed, has_bearer
from mealshare.core.validation import Input


class ThingPermission(Permission):
    SCOPED = "thing:scoped"


@dataclass
class Maker:
    name: str


@dataclass
class Thing:
    """A thing."""

    id: Annotated[str, Field(description="Its id.", examples=["7"])]
    name: str
    maker: Maker | None = None


class ThingInput(Input):
    name: Annotated[str, Field(min_length=2, max_length=10, examples=["soup"])]
    tags: Annotated[list[Annotated[str, Field(max_length=5)]], Field(max_length=3, default_factory=list)]
    made: date | None = None


class ThingPatch(Input):
    name: Annotated[str, Field(min_length=2)] = "unnamed"


class ThingQuery(PagedQuery):
    q: str = ""
    tag: Annotated[list[str], Field(description="All of these.", default_factory=list)]
    on: date | None = None
    fresh: bool | None = None


class PhotoForm(Form):
    file: Upload
    alt: Annotated[str, Field(max_length=20)] = ""
    size: int = 0


@dataclass
class ThingContext:
    id: str


class Root:
    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, key: str) -> ThingContext:
        if key == "404":
            raise KeyError(key)
        return ThingContext(key)


@api_view(
    route_name="api.things", permission=CorePermission.PUBLIC, query=ThingQuery, returns=list[Thing], paged=True,
    summary="List things", tags=("things",),
)  # fmt: skip
def things(context: Any, request: Request, query: ThingQuery) -> Reply:
    window = query.window()
    name = f"{query.q}|{','.join(query.tag)}|{query.on}|{query.fresh}|{window.max_id}|{window.min_id}|{window.skip}"
    return Reply([Thing("7", name)], headers=page_headers(request, Page([], 5, 9)))


@api_view(
    route_name="api.things", request_method="POST", permission=CorePermission.PUBLIC, body=ThingInput, returns=Thing,
    status=201, summary="Make a thing", tags=("things",), errors=("thing_exists",), example={"maker": {"name": "食"}},
    links=(Link("api.thing", id="$response.body#/id"), Link("api.search", word="$request.body#/name")),
)  # fmt: skip
def create(context: Any, request: Request, body: ThingInput) -> Reply:
    if body.name == "taken":
        raise Conflict("thing_exists", name=body.name)
    return Reply(Thing("8", body.name, Maker("食")), headers=[("Location", "/api/things/8")])


@api_view(
    route_name="api.thing", permission=CorePermission.PUBLIC, context=ThingContext, returns=Thing, tags=("things",)
)
def thing(context: ThingContext, request: Request) -> Thing:
    """Read a thing."""
    return Thing(context.id, "soup")


@api_view(
    route_name="api.thing", request_method="PATCH", permission=CorePermission.SIGNED_IN, context=ThingContext,
    body=ThingPatch, returns=Thing, errors=("precondition_failed",), etag=True,
)  # fmt: skip
def change(context: ThingContext, request: Request, body: ThingPatch) -> Thing:
    require_match(request, etag_of(context.id, 1))
    return Thing(context.id, ",".join(sorted(body.model_fields_set)))


@api_view(
    route_name="api.thing", request_method="DELETE", permission=CorePermission.SIGNED_IN, context=ThingContext,
    errors=("precondition_failed",),
)  # fmt: skip
def remove(context: ThingContext, request: Request) -> None:
    require_match(request, etag_of(context.id, 1))


@api_view(route_name="api.tagged", permission=CorePermission.PUBLIC, returns=dict[str, str])
def tagged(context: Any, request: Request) -> Any:
    etag = etag_of("tagged", 3)
    return check_not_modified(request, etag) or Reply({"etag": "given"}, etag=etag)


@api_view(route_name="api.odd", permission=CorePermission.PUBLIC, query=None, documented=False)
def odd(context: Any, request: Request) -> Any:
    """Answers and failures of every kind."""
    kind = request.matchdict["kind"]
    if kind == "busy" or (kind == "retried" and request.environ["retry.attempt"] == 0):
        raise RetryableException
    if kind in ANSWERS:
        return ANSWERS[kind]
    raise FAILURES[kind]() if kind in FAILURES else NotFound()


@api_view(route_name="api.odd", request_method="POST", permission=CorePermission.PUBLIC, documented=False)
def create_odd(context: Any, request: Request) -> None:
    request.tm.get().addBeforeCommitHook(_fail_commit, kws={"kind": request.matchdict["kind"]})


def _fail_commit(kind: str) -> None:
    raise FAILURES[kind]()


@api_view(route_name="api.create", request_method="POST", permission=CorePermission.PUBLIC, multipart=PhotoForm,
          returns=dict[str, str], status=202)  # fmt: skip
def create_photo(context: Any, request: Request, form: PhotoForm) -> dict[str, str]:
    return {
        "name": form.file.filename,
        "alt": form.alt,
        "size": str(form.size),
        "bytes": str(len(form.file.file.read())),
    }


@api_view(route_name="api.guarded", permission=ThingPermission.SCOPED, returns=dict[str, str])
def guarded(context: Any, request: Request) -> dict[str, str]:
    return {"user": request.identity.username}


@api_view(route_name="api.guarded", request_method="PUT", permission=CorePermission.ADMINISTER)
def administer(context: Any, request: Request) -> None:
    return None


@api_view(route_name="api.guarded", request_method="POST", permission=CorePermission.BROWSER_SESSION)
def with_session(context: Any, request: Request) -> None:
    return None


@api_view(route_name="api.guarded", request_method="DELETE")
def forgotten(context: Any, request: Request) -> None:
    """Nobody named a permission, so nobody may."""


class AdminShutdownError(Exception):
    sqlstate = "57P01"


class UnanswerableError(Exception):
    """Its exception view fails."""


class DiskFullError(Exception):
    sqlstate = None
    sqlite_errorname = "SQLITE_FULL"


ANSWERS: dict[str, Any] = {
    "retried": {"a": 2},
    "none": None,
    "raw": RawJson(b'{"raw":  1}'),
    "dict": {"a": 1},
    "no-etag": Reply({"a": 1}, etag=NO_ETAG),
    "weak": Reply({"a": 1}, etag='W/"weak"'),
    "cached": Reply({"a": 1}, headers=[("Cache-Control", "public, max-age=60")]),
    "accepted": Reply(None, status=202),
}
FAILURES: dict[str, Any] = {
    "unanswerable": UnanswerableError,
    "invalid": lambda: InputInvalid.of("a/b~c/0", "too_long", max=3),
    "too-many": lambda: TooMany(42, 10),
    "full": StorageExhausted,
    "gone": HTTPGone,
    "found": lambda: HTTPFound("https://meals.example/"),
    "internal": lambda: ZeroDivisionError("the secret detail"),
    "bytes": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    "database-away": lambda: OperationalError("SELECT", {}, AdminShutdownError()),
    "database-full": lambda: OperationalError("INSERT", {}, DiskFullError()),
}


def bearer(request: Request) -> Identity | None:
    """Tokens that say what they are: ``Bearer role`` or ``Bearer bad``."""
    assert has_bearer(request)
    role = request.environ["HTTP_AUTHORIZATION"][7:]
    if role == "bad":
        raise AuthenticationFailed("token_expired")
    return Identity(5, "ann", Role(role), AuthMethod.BEARER, 1)


def scoped(identity: Identity | None, context: Any) -> Denial | None:
    if identity is None:
        return Denial.LOGIN_REQUIRED
    return None if identity.role is Role.ADMIN else Denial.SCOPE_MISSING


@api_view(route_name="api.broken", permission=CorePermission.PUBLIC, documented=False)
def broken(context: Any, request: Request) -> None:
    """An error of the real database that is nobody's fault but ours."""
    request.conn.execute(text("SELECT * FROM no_such_table"))


class SearchQuery(Query):
    word: str


@api_view(route_name="api.search", permission=CorePermission.PUBLIC, query=SearchQuery, returns=list[str])
def search(context: Any, request: Request, query: SearchQuery) -> list[str]:
    return [query.word]


def fail(error: UnanswerableError, request: Request) -> None:
    raise ZeroDivisionError


def jwks(request: Request) -> dict[str, Any]:
    request.response.vary = ("Accept-Encoding",)
    return {"keys": []}


def page(request: Request) -> dict[str, str]:
    raise NotFound


def includeme(config: Configurator) -> None:
    config.add_rules({ThingPermission.SCOPED: asking_scope("things:do", scoped)})
    config.add_api_tags({"things": "What there is.", "nothing": "Not in the document."})
    config.add_authenticator(AuthMethod.BEARER, bearer)
    config.add_problems({"thing_exists": (409, _("There is a ${name} already."))})
    config.add_instance_info("thing_name", 10)
    config.add_api_route("api.things", "/api/things")
    config.add_api_route(
        "api.thing", r"/api/things/{id:\d+}", factory=Root, traverse="/{id}", params={"id": PathParam("Which.", "7")}
    )
    config.add_api_route("api.tagged", "/api/tagged")
    config.add_api_route("api.odd", "/api/odd/{kind}")
    config.add_api_route("api.create", "/api/photos")
    config.add_api_route("api.guarded", "/api/guarded")
    config.add_api_route("api.broken", "/api/broken")
    config.add_api_route("api.search", "/api/search")
    config.add_route("page", "/page")
    config.add_view(page, route_name="page", permission=CorePermission.PUBLIC, renderer="json")
    config.add_route("jwks", "/.well-known/jwks.json")
    config.add_view(jwks, route_name="jwks", permission=CorePermission.PUBLIC, renderer="json")
    config.add_exception_view(fail, context=UnanswerableError)
    config.scan("tests.core.api.small")
