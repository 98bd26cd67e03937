"""CSRF: what another site could make a browser send is refused, before anything else is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp

from mealshare.core.security import csrf
from mealshare.core.security.permissions import CorePermission
from tests.core.wiring import ANN, BOB, call, small_router

BASE = "http://localhost"
FORM = "application/x-www-form-urlencoded"
Send = Callable[..., Any]


def wire(config: Configurator) -> None:
    def view(request: Request) -> Response:
        request.registry["reached"].append(request.path)
        return Response("done")

    def token(request: Request) -> Response:
        return Response(request.registry["csrf"].get_csrf_token(request))

    config.registry["reached"] = []
    for name, permission in (("open", CorePermission.PUBLIC), ("closed", CorePermission.SIGNED_IN)):
        for path in (f"/{name}", f"/api/{name}"):
            config.add_route(path, path)
            config.add_view(view, route_name=path, permission=permission)
    config.add_route("hook", "/hook")
    config.add_view(view, route_name="hook", permission=CorePermission.PUBLIC, require_csrf=False)
    config.add_route("token", "/token")
    config.add_view(token, route_name="token", permission=CorePermission.PUBLIC)


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("csrf")
    made = small_router(f"sqlite:///{folder}/x.sqlite", folder, wire, cors__origins="https://app.example")
    yield made
    made.registry["engine"].dispose()


@pytest.fixture
def reached(router: Any) -> list[str]:
    """The paths whose view ran."""
    router.registry["reached"].clear()
    seen: list[str] = router.registry["reached"]
    return seen


def token_of(router: Any, session: str | None) -> tuple[str, str]:
    """The token for the reader with that session cookie, and the Cookie header of their browser from then on."""
    cookie = f"session={session}" if session else ""
    answer = call(router, "GET", "/token", HTTP_COOKIE=cookie)
    if "Set-Cookie" in answer.headers:
        cookie = answer.headers["Set-Cookie"].split(";")[0]
    return answer.text, cookie


@pytest.mark.parametrize("session", [None, ANN])
@pytest.mark.parametrize("how", ["field", "header", "multipart"])
def test_the_right_token_is_let_through(router: Any, reached: list[str], session: str | None, how: str) -> None:
    token, cookie = token_of(router, session)
    if how == "header":
        answer = call(router, "POST", "/open", HTTP_COOKIE=cookie, HTTP_X_CSRF_TOKEN=token)
    elif how == "field":
        body = f"csrf_token={token}&x=1".encode()
        answer = call(router, "POST", "/open", body, HTTP_COOKIE=cookie, CONTENT_TYPE=FORM)
    else:
        body = f'--b\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{token}\r\n--b--\r\n'.encode()
        kind = "multipart/form-data; boundary=b"
        answer = call(router, "POST", "/open", body, HTTP_COOKIE=cookie, CONTENT_TYPE=kind)
    assert answer.status_int == 200
    assert reached == ["/open"]


WRONG = {
    "none": "", "empty field": "csrf_token=", "short": "csrf_token=x", "long": "csrf_token=" + "x" * 5000,
    "not ASCII": "csrf_token=%E9%BA%BB", "in the wrong field": "token={token}", "doubled": "csrf_token={token}{token}",
    "cut": "csrf_token={cut}", "in the address only": "",
}  # fmt: skip


@pytest.mark.parametrize("session", [None, ANN])
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_any_other_token_is_refused(
    router: Any, reached: list[str], session: str | None, wrong: str, method: str
) -> None:
    token, cookie = token_of(router, session)
    body = WRONG[wrong].format(token=token, cut=token[:-1]).encode()
    path = f"/open?csrf_token={token}" if wrong == "in the address only" else "/open"
    answer = call(router, method, path, body, HTTP_COOKIE=cookie, CONTENT_TYPE=FORM)
    assert answer.status_int == 403
    assert reached == []


def test_a_file_in_the_place_of_the_token_is_refused(router: Any, reached: list[str]) -> None:
    _, cookie = token_of(router, ANN)
    body = b'--b\r\nContent-Disposition: form-data; name="csrf_token"; filename="x"\r\n\r\nx\r\n--b--\r\n'
    kind = "multipart/form-data; boundary=b"
    assert call(router, "POST", "/open", body, HTTP_COOKIE=cookie, CONTENT_TYPE=kind).status_int == 403
    assert reached == []


def test_a_token_is_worth_nothing_to_anybody_else(router: Any, reached: list[str]) -> None:
    ann, ann_cookie = token_of(router, ANN)
    bob, bob_cookie = token_of(router, BOB)
    visitor, visitor_cookie = token_of(router, None)
    other, _ = token_of(router, None)
    assert len({ann, bob, visitor, other}) == 4
    both = f"{ann_cookie}; {visitor_cookie}"
    for cookie, token in [
        (bob_cookie, ann), (ann_cookie, bob), (visitor_cookie, other), (visitor_cookie, ann), (ann_cookie, visitor),
        # After signing in the visitor's cookie is still there, but a page of before must not act for the person.
        (both, visitor),
        # Whoever can set a cookie of the victim (another host of the domain) knows that one, not the session.
        (f"{ann_cookie}; csrf=0123456789012345678901234567", "0123456789012345678901234567"),
    ]:  # fmt: skip
        assert call(router, "POST", "/open", HTTP_COOKIE=cookie, HTTP_X_CSRF_TOKEN=token).status_int == 403
    assert reached == []
    assert call(router, "POST", "/open", HTTP_COOKIE=both, HTTP_X_CSRF_TOKEN=ann).status_int == 200


def test_an_unknown_session_has_a_visitors_token(router: Any, reached: list[str]) -> None:
    """The session has ended: what its forms held counts no more, and the next page gives a token that does."""
    ended = "z" * 43
    signed = router.registry["csrf"].signer.sign(ended)
    assert call(router, "POST", "/open", HTTP_COOKIE=f"session={ended}", HTTP_X_CSRF_TOKEN=signed).status_int == 403
    token, cookie = token_of(router, ended)
    both = f"session={ended}; {cookie}"
    assert call(router, "POST", "/open", HTTP_COOKIE=both, HTTP_X_CSRF_TOKEN=token).status_int == 200


ORIGINS = [
    (BASE, 200), ("http://evil.example", 403), ("null", 403), ("", 403), ("http://localhost.evil.example", 403),
    ("http://localhost:8080", 403), ("https://localhost", 403), ("https://app.example", 403), ("http://LOCALHOST", 403),
]  # fmt: skip


@pytest.mark.parametrize("path", ["/open", "/api/open"])
@pytest.mark.parametrize(("origin", "status"), ORIGINS)
def test_the_origin_must_be_our_own_even_with_the_token(
    router: Any, reached: list[str], path: str, origin: str, status: int
) -> None:
    token, cookie = token_of(router, ANN)
    answer = call(router, "POST", path, HTTP_COOKIE=cookie, HTTP_X_CSRF_TOKEN=token, HTTP_ORIGIN=origin)
    assert answer.status_int == status
    assert reached == ([path] if status == 200 else [])


@pytest.mark.parametrize("path", ["/open", "/api/open"])
@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403), ("odd", 403)]
)
def test_the_browsers_own_word_counts_too(router: Any, reached: list[str], path: str, site: str, status: int) -> None:
    token, cookie = token_of(router, ANN)
    answer = call(router, "POST", path, HTTP_COOKIE=cookie, HTTP_X_CSRF_TOKEN=token, HTTP_SEC_FETCH_SITE=site)
    assert answer.status_int == status
    assert reached == ([path] if status == 200 else [])


@pytest.mark.parametrize("path", ["/open", "/closed", "/api/open", "/api/closed"])
def test_a_bearer_token_needs_no_other(router: Any, reached: list[str], path: str) -> None:
    """No browser sends one by itself; even a cookie beside it and a foreign origin change nothing."""
    evil = {"HTTP_COOKIE": f"session={ANN}", "HTTP_ORIGIN": "http://evil.example", "HTTP_SEC_FETCH_SITE": "cross-site"}
    assert call(router, "POST", path, HTTP_AUTHORIZATION=f"Bearer {ANN}", **evil).status_int == 200
    assert reached == [path]


@pytest.mark.parametrize("path", ["/closed", "/api/closed"])
@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearerx", "Token x", f"Basic {ANN}"])
def test_any_other_authorization_is_no_exemption(router: Any, reached: list[str], path: str, header: str) -> None:
    answer = call(router, "POST", path, HTTP_COOKIE=f"session={ANN}", HTTP_AUTHORIZATION=header)
    assert answer.status_int == 403
    assert reached == []


@pytest.mark.parametrize("path", ["/closed", "/api/closed"])
@pytest.mark.parametrize("header", ["Bearer bad", "Bearer", "bearer", f"Basic x, Bearer {ANN}"])
def test_a_bad_bearer_token_is_refused_and_the_cookie_does_not_help(
    router: Any, reached: list[str], path: str, header: str
) -> None:
    answer = call(router, "POST", path, HTTP_COOKIE=f"session={ANN}", HTTP_AUTHORIZATION=header)
    assert answer.status_int == 401
    assert "Bearer" in answer.headers["WWW-Authenticate"]
    assert reached == []


def test_the_api_wants_a_token_from_those_with_a_session_cookie_only(router: Any, reached: list[str]) -> None:
    for cookie, status in [("", 200), ("csrf=x; flash=y", 200), (f"session={ANN}", 403), ("session=unknown", 403)]:
        assert call(router, "POST", "/api/open", HTTP_COOKIE=cookie).status_int == status
    # A page's address always wants one: signing somebody in to another account is an attack as well.
    assert call(router, "POST", "/open").status_int == 403
    assert reached == ["/api/open"] * 2


def test_an_address_that_only_looks_like_the_api_is_none(router: Any, reached: list[str]) -> None:
    assert call(router, "POST", "/apiary").status_int == 404
    assert call(router, "POST", "//api/open").status_int in (403, 404)
    assert call(router, "POST", "/open/../api/open").status_int in (403, 404)
    assert reached == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_safe_methods_need_nothing(router: Any, method: str) -> None:
    assert call(router, method, "/open", HTTP_ORIGIN="http://evil.example").status_int == 200


def test_a_view_can_opt_out_visibly(router: Any, reached: list[str]) -> None:
    assert call(router, "POST", "/hook", HTTP_COOKIE=f"session={ANN}").status_int == 200


@pytest.mark.parametrize("session", [None, ANN])
def test_the_check_comes_before_the_permission(router: Any, reached: list[str], session: str | None) -> None:
    """A forged request learns nothing about what the person may do: it is refused in the same words for everybody."""
    cookie = f"session={session}" if session else ""
    answer = call(router, "POST", "/closed", HTTP_COOKIE=cookie)
    assert answer.status_int == 403
    assert "Location" not in answer.headers
    assert "did not come from this site" in answer.text


def test_in_pyramids_own_order_the_permission_would_answer_first(tmp_path: Path) -> None:
    """The deliberate break: the deriver where it stands by default, inside the permission check."""

    def late(config: Configurator) -> None:
        config.add_view_deriver(csrf.csrf_first, name="csrf_first")
        wire(config)

    router = small_router(f"sqlite:///{tmp_path}/x.sqlite", tmp_path, late)
    answer = call(router, "POST", "/closed")
    assert answer.status_int == 303
    assert answer.headers["Location"].endswith("/login?next=%2F")
    router.registry["engine"].dispose()


FORMS_THAT_CANNOT_BE_READ = [
    (b"x", "multipart/form-data"),
    (b"x=1", f"{FORM}; charset=utf-16"),
    (b"x=1", f"{FORM}; charset=nonsense"),
]


@pytest.mark.parametrize(("body", "kind"), FORMS_THAT_CANNOT_BE_READ)
@pytest.mark.parametrize("token", ["", f"Bearer {ANN}"])
def test_a_form_that_cannot_be_read_is_the_clients_error(
    router: Any, reached: list[str], body: bytes, kind: str, token: str
) -> None:
    answer = call(router, "POST", "/open", body, CONTENT_TYPE=kind, HTTP_AUTHORIZATION=token)
    assert answer.status_int == 400
    assert reached == []


def test_a_visitors_token_lasts_for_the_visit_and_is_not_renewed_by_each_page(router: Any) -> None:
    first, cookie = token_of(router, None)
    again = call(router, "GET", "/token", HTTP_COOKIE=cookie)
    assert again.text == first
    assert "Set-Cookie" not in again.headers
    for bad in ("csrf=x", "csrf=" + "x" * 65, "csrf=\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"):
        replaced = call(router, "GET", "/token", HTTP_COOKIE=bad)
        assert replaced.status_int == 200
        assert len(replaced.text) == 32
        assert "csrf=" in replaced.headers["Set-Cookie"]


# In the real application.


def test_nobody_can_be_signed_in_from_elsewhere(app: TestApp, make_user: Any) -> None:
    user = make_user("ann")
    words = f'{{"username": "{user.username}", "password": "{user.password}"}}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        # Those that a form of another site can send; its browser would store what the answer sets.
        answer = app.post("/api/login", words, headers={"Content-Type": kind}, expect_errors=True)
        assert answer.status_int == 415
        assert "Set-Cookie" not in answer.headers
    page = app.get("/login")
    form = next(form for form in page.forms.values() if "password" in form.fields)
    form["login"], form["password"], form["csrf_token"] = user.username, user.password, "0" * 32
    assert form.submit(expect_errors=True).status_int == 403


def test_a_form_of_before_signing_in_does_not_act_for_the_person(
    app: TestApp, make_user: Any, login: Callable[..., None]
) -> None:
    before = app.get("/login").forms
    visitor = next(form for form in before.values() if "password" in form.fields)["csrf_token"].value
    login(app, make_user("ann"))
    assert app.post("/logout", {"csrf_token": visitor}, expect_errors=True).status_int == 403
    signed_in = next(form for form in app.get("/").forms.values() if form.action == "/logout")
    assert signed_in.submit().status_int == 303
    # And the token of the session has gone with it.
    again = app.post("/logout", {"csrf_token": signed_in["csrf_token"].value}, expect_errors=True)
    assert again.status_int == 403
