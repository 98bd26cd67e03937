"""The HTML face's own parts: flash messages, forms, error pages for whatever is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy.exc import OperationalError

from mealshare.core.errors import FieldError, InputInvalid, StorageExhausted, TooMany
from mealshare.core.security.permissions import CorePermission
from mealshare.core.security.tokens import MAX_WRAPPED, Signer
from mealshare.core.validation import Input, Line
from mealshare.web.flash import take_messages
from mealshare.web.forms import Form
from tests.core.wiring import ANN, call, small_router

URLENCODED = "application/x-www-form-urlencoded"


class DishInput(Input):
    food: Annotated[Line, Field(min_length=2, max_length=10)]
    plates: Annotated[int, Field(ge=1)] = 1
    tags: list[str] = Field(default=[])


class FullOrig(Exception):
    sqlite_errorname = "SQLITE_FULL"


FAILURES: dict[str, Callable[[], Exception]] = {
    "full": lambda: OperationalError("INSERT", {}, FullOrig()),
    "storage": StorageExhausted,
    "often": lambda: TooMany(42),
    "bytes": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    "bug": lambda: LookupError("the secret detail"),
}


def wire(config: Configurator) -> None:
    def flash(request: Request) -> Response:
        for kind, text in request.registry["to_flash"]:
            request.flash(text, kind)
        return Response("ok")

    def show(request: Request) -> Response:
        return Response("|".join(f"{kind}:{text}" for kind, text in take_messages(request)))

    def form(request: Request) -> Response:
        filled = Form(request, DishInput, {"food": "soup"})
        given = filled.validate(filled.read(lists=("tags",)))
        request.registry["form"] = filled
        request.response.text = "" if given is None else f"{given.food} {given.plates} {given.tags}"
        return request.response

    def fail(request: Request) -> Response:
        raise FAILURES[request.matchdict["kind"]]()

    for name, view, pattern in [
        ("flash", flash, "/flash"), ("show", show, "/show"), ("form", form, "/form"), ("fail", fail, "/fail/{kind}"),
    ]:  # fmt: skip
        config.add_route(name, pattern)
        config.add_view(view, route_name=name, permission=CorePermission.PUBLIC, require_csrf=False)


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("pages")
    made = small_router(f"sqlite:///{folder}/x.sqlite", folder, wire)
    yield made
    made.registry["engine"].dispose()


# Messages that survive one redirect.


def flashed(router: Any, *messages: tuple[str, str]) -> str:
    """The Cookie header after a page that left ``messages``."""
    router.registry["to_flash"] = messages
    answer = call(router, "GET", "/flash")
    assert answer.status_int == 200
    cookie: str = answer.headers["Set-Cookie"].split(";")[0]
    assert len(cookie) <= 4096
    return cookie


def test_a_message_is_shown_once(router: Any) -> None:
    cookie = flashed(router, ("success", "Saved: 麻辣 & <b>"), ("error", "But."))
    shown = call(router, "GET", "/show", HTTP_COOKIE=cookie)
    assert shown.text == "success:Saved: 麻辣 & <b>|error:But."
    assert shown.headers["Set-Cookie"].startswith("flash=;")
    assert "Max-Age=0" in shown.headers["Set-Cookie"]
    assert call(router, "GET", "/show").text == ""


def test_a_page_escapes_it(router: Any) -> None:
    cookie = flashed(router, ("success", "<script>alert(1)</script>"))
    page = call(router, "GET", "/about", HTTP_COOKIE=cookie).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_a_message_that_was_tampered_with_is_dropped(router: Any) -> None:
    cookie = flashed(router, ("success", "Saved."))
    payload, _, signature = cookie.removeprefix("flash=").rpartition(".")
    other = Signer(router.registry["secret"], "csrf").wrap(payload)
    for value in (
        f"x{payload}.{signature}",
        f"{payload}.{signature[:-2]}xx",
        payload,
        f"{payload}.",
        ".",
        other,
        "a.b.c",
    ):
        shown = call(router, "GET", "/show", HTTP_COOKIE=f"flash={value}")
        assert (shown.status_int, shown.text) == (200, "")
        # And it is not sent again and again.
        assert "Max-Age=0" in shown.headers["Set-Cookie"]


def test_too_long_messages_are_cut_and_never_an_error(router: Any) -> None:
    """The cookie is written when the transaction has been committed: an error now would be a lie."""
    long = flashed(router, ("success", "食" * 5000))
    text = call(router, "GET", "/show", HTTP_COOKIE=long).text
    assert text.startswith("success:食食食")
    assert len(long) <= MAX_WRAPPED + 60
    several = flashed(router, ("info", "a" * 1500), ("info", "b" * 1500), ("info", "c" * 1500))
    assert call(router, "GET", "/show", HTTP_COOKIE=several).text == "info:" + "a" * 1500
    many = flashed(router, *[("info", str(n)) for n in range(9)])
    assert call(router, "GET", "/show", HTTP_COOKIE=many).text == "info:0|info:1|info:2"


# Forms.


def post(router: Any, body: str) -> tuple[Any, Form[DishInput]]:
    answer = call(router, "POST", "/form", body.encode(), CONTENT_TYPE=URLENCODED)
    return answer, router.registry["form"]


def test_a_valid_form(router: Any) -> None:
    answer, form = post(router, "food=+rice+&plates=3&tags=a&tags=&tags=b&csrf_token=x&unknown=1")
    assert (answer.status_int, answer.text) == (200, "rice 3 ['a', 'b']")
    assert form.errors == {}


def test_an_invalid_form_keeps_every_value_and_names_every_mistake(router: Any) -> None:
    answer, form = post(router, "food=%E9%BA%BB%E8%BE%A3%3Cb%3E+is+much+too+long&plates=0x&tags=a&tags=b")
    assert answer.status_int == 422
    assert form.value("food") == "麻辣<b> is much too long"
    assert form.value("plates") == "0x"
    assert form.value("tags") == ["a", "b"]
    assert form.error("food") == "This may have at most 10 characters."
    assert form.error("plates") == "This must be a whole number."
    assert (form.error("tags"), form.invalid("tags"), form.describe("tags")) == (None, None, None)
    assert (form.invalid("food"), form.describe("food", hint=True)) == ("true", "food-error food-hint")
    assert (form.describe("tags", hint=True), form.value("other", "-")) == ("tags-hint", "-")
    assert form.has("tags", "b")
    assert not form.has("tags", "c")
    assert form.has("plates", "0x")


def test_a_field_that_was_emptied_does_not_get_its_old_value_back(router: Any) -> None:
    answer, form = post(router, "food=")
    assert answer.status_int == 422
    assert form.value("food") == ""
    assert form.error("food") == "This is required."


def test_a_form_takes_what_a_service_refused(router: Any) -> None:
    _, form = post(router, "food=rice")
    form.fail_with(InputInvalid(FieldError("tags/1", "too_long", {"max": 5}), FieldError("", "duplicate")))
    assert form.error("tags") == "This may have at most 5 characters."
    assert form.error("") == "This appears twice."


# Error pages.

HUGE = "9" * 40
ODD = [
    ("GET", "/\xff", 400), ("GET", "/@a\x00b", 404), ("GET", "/\x00", 404), ("GET", "/a\nb", 404),
    ("GET", "/about?x=%ff", 200), ("GET", f"/{HUGE}", 404), ("GET", f"/{'a' * 20_000}", 404), ("HEAD", "/missing", 404),
    ("HEAD", "/about", 200), ("GET", "/problems/%00", 404), ("GET", "/problems/csrf", 200),
    ("GET", "/problems/xss<script>", 404), ("GET", "/static/../../etc/passwd", 404), ("GET", "/static/\x00", 404),
    ("FOO", "/about", 405), ("GET", "/fail/full", 507), ("GET", "/fail/storage", 507), ("GET", "/fail/often", 429),
    ("GET", "/fail/bytes", 400), ("GET", "/fail/bug", 500),
]  # fmt: skip


@pytest.mark.parametrize("cookie", ["", f"session={ANN}", 'session="\\377"; flash="\\377"; csrf="\\377"'])
@pytest.mark.parametrize(("method", "path", "status"), ODD)
def test_whatever_is_asked_gets_a_page(router: Any, method: str, path: str, status: int, cookie: str) -> None:
    answer = call(router, method, path, HTTP_COOKIE=cookie)
    assert answer.status_int == status
    assert answer.content_type == "text/html"
    assert "Traceback" not in answer.text
    assert "secret detail" not in answer.text
    assert "<script>xss" not in answer.text
    if method == "HEAD":
        assert answer.body == b""
    elif status >= 400:
        assert f">{status}<" in answer.text
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_limit_says_when_it_ends(router: Any) -> None:
    answer = call(router, "GET", "/fail/often")
    assert answer.headers["Retry-After"] == "42"
    assert "42 seconds" in answer.text


def test_error_pages_speak_the_readers_language(router: Any) -> None:
    english = call(router, "GET", "/fail/bug").text
    chinese = call(router, "GET", "/fail/bug", HTTP_ACCEPT_LANGUAGE="zh-CN").text
    assert 'lang="en"' in english
    assert 'lang="zh-Hans' in chinese or 'lang="zh-CN"' in chinese
    assert "Something went wrong" not in chinese


def test_readiness_tells_what_is_missing_and_when_it_ends(router: Any, tmp_path: Path) -> None:
    registry = router.registry
    assert call(router, "GET", "/health/live").json == {"status": "ok"}
    assert call(router, "GET", "/health/ready").json["checks"] == {
        "database": "ok", "cache": "ok", "storage": "ok", "ratelimit": "ok",
    }  # fmt: skip
    registry["draining"] = True
    ending = call(router, "GET", "/health/ready")
    del registry["draining"]
    assert (ending.status_int, ending.json["status"]) == (503, "draining")

    def broken() -> bool:
        raise OSError("no such host")

    checks = dict(registry["health_checks"])
    registry["health_checks"] |= {"cache": broken, "storage": lambda: False}
    failing = call(router, "GET", "/health/ready")
    registry["health_checks"] = checks
    assert failing.status_int == 503
    assert failing.json == {
        "status": "failing",
        "checks": {"database": "ok", "cache": "failing", "storage": "failing", "ratelimit": "ok"},
    }
    # Without what only helps it goes on, and stays where a balancer sends people.
    helpers = dict(registry["health_helpers"])
    registry["health_helpers"] |= {"ratelimit": broken}
    degraded = call(router, "GET", "/health/ready")
    registry["health_helpers"] = helpers
    assert (degraded.status_int, degraded.json["status"]) == (200, "degraded")
    assert degraded.json["checks"]["ratelimit"] == "degraded"


# In the real application.


@pytest.mark.parametrize(
    "path",
    [f"/@ann/{HUGE}", f"/@{HUGE}", "/@ann\x00", "/@\xff", "/tags/\x00", f"/tags/{'a' * 5000}", f"/media/{HUGE}/400.webp",
     f"/api/meals/{HUGE}", "/api/meals/\x00", "/api/meals/-1", "/api/users/\x00/meals", "/api/\xff"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
def test_odd_addresses_of_the_site_are_the_clients_error(wsgi_app: Any, registry: Any, path: str, method: str) -> None:
    answer = call(wsgi_app, method, path)
    assert 400 <= answer.status_int < 500


@pytest.mark.parametrize("query", [f"max_id={HUGE}", "max_id=%00", "max_id=%ff", "max_id=-1", "limit=1e9", "x" * 5000])
@pytest.mark.parametrize("path", ["/", "/api/meals", "/tags/soup", "/api/tags", "/login"])
def test_odd_queries_are_no_server_error(wsgi_app: Any, registry: Any, path: str, query: str) -> None:
    assert call(wsgi_app, "GET", f"{path}?{query}").status_int < 500
