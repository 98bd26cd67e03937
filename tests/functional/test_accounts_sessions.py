"""Signing in and out with the browser, the language, and the devices that are signed in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from mealshare.core import clock
from mealshare.core.db import record_statements
from mealshare.core.security.tokens import hash_token
from mealshare.features.accounts.models import Account, Grant, Session, User
from tests.features.accounts.site import FIREFOX, NEW_PASSWORD, Browser, Site
from tests.people import PASSWORD


def age_session(site: Site, **columns: timedelta) -> None:
    """Make all sessions older than they are."""
    now = clock.now()
    site.execute(update(Session).values({name: now - age for name, age in columns.items()}))


@pytest.mark.parametrize("login", ["ada", "ADA", "@ada", "ada@example.org", "Ada@Example.org", "  ada "])
def test_one_signs_in_by_either_name(site: Site, browser: Browser, login: str) -> None:
    site.user("ada")
    response = browser.fill("/login?next=/settings/password", login=login, password=PASSWORD)
    assert (response.status_int, response.location) == (303, "http://localhost/settings/password")
    assert browser.is_signed_in()


def test_the_cookie_holds_a_random_id_and_the_row_its_hash(site: Site, browser: Browser) -> None:
    person = site.user("ada")
    response = browser.sign_in()
    [cookie] = [line for line in response.headers.getall("Set-Cookie") if line.startswith("session=")]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"} <= set(cookie.split("; "))
    [(row,)] = site.execute(select(Session))
    assert browser.session is not None
    assert row.token_hash == hash_token(browser.session)
    assert row.user_id == person.account_id
    assert row.address == "192.0.2.1"
    assert row.expires_at - row.created_at == timedelta(days=30)


@pytest.mark.parametrize(
    ("login", "password"), [("ada", NEW_PASSWORD), ("nobody", PASSWORD), ("no@example.org", PASSWORD)]
)
def test_a_wrong_name_and_a_wrong_password_look_the_same(
    site: Site, browser: Browser, login: str, password: str
) -> None:
    site.user("ada")
    response = browser.sign_in(login, password)
    assert response.status_int == 422
    summary = response.html.select_one(".error-summary li")
    assert summary.get_text(strip=True) == "The name or the password is wrong."
    assert not summary.select("a")
    assert browser.session is None
    assert response.html.select_one("#login")["value"] == login
    assert password not in response.text


def test_nobody_takes_as_long_as_somebody(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: as many hashes are computed and as many statements run in either case."""
    import mealshare.core.security.passwords as passwords

    site.user("ada")
    verified: list[bytes] = []
    original = passwords._hasher

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(original, name)

        def verify(self, hashed: str, secret: bytes) -> bool:
            verified.append(secret)
            return original.verify(hashed, secret)

    monkeypatch.setattr(passwords, "_hasher", Counting())
    counts = []
    for login in ("ada", "nobody", "nobody@example.org"):
        verified.clear()
        browser = site.browser()
        page = browser.get("/login")
        fields = {
            "login": login,
            "password": NEW_PASSWORD,
            "csrf_token": page.html.select_one("[name=csrf_token]")["value"],
        }
        with record_statements() as statements:
            browser.post("/login", fields, status=422)
        counts.append((len(verified), len(statements)))
    assert counts == [(1, 1)] * 3


def test_a_suspended_person_hears_so_only_with_the_right_password(site: Site, browser: Browser) -> None:
    site.user("ada")
    assert browser.sign_in().status_int == 303
    site.execute(update(Account).values(suspended_at=clock.now()))
    assert not browser.is_signed_in()
    other = site.browser()
    assert "suspended" not in other.sign_in(password=NEW_PASSWORD).text
    response = other.sign_in()
    assert response.status_int == 403
    assert "This account is suspended." in response.text


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_no_way_leads_off_the_site(site: Site, browser: Browser, target: str) -> None:
    site.user("ada")
    page = browser.get("/login", {"next": target})
    form = next(form for form in page.forms.values() if form.action == "/login")
    form["login"], form["password"], form["next"] = "ada", PASSWORD, target
    assert form.submit().location == "http://localhost/"


def test_a_new_login_is_a_new_session_and_ends_the_old_one(site: Site, browser: Browser) -> None:
    site.user("ada")
    site.user("eve")
    browser.sign_in()
    first = browser.session
    page = browser.get("/settings/profile")
    token = page.html.select_one("[name=csrf_token]")["value"]
    browser.post("/login", {"login": "eve", "password": PASSWORD, "csrf_token": token}, status=303)
    assert browser.session not in (None, first)
    assert site.execute(select(Account.username).join(Session, Session.user_id == Account.id)) == [("eve",)]


def test_a_session_that_somebody_planted_is_not_taken_over(site: Site, browser: Browser) -> None:
    site.user("ada")
    planted = "p" * 43
    browser.set_cookie("session", planted)
    assert browser.sign_in().status_int == 303
    assert browser.session != planted


def test_signing_out_ends_the_row_so_the_old_cookie_is_worth_nothing(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    old = browser.session
    response = browser.fill("/settings/profile", "/logout")
    assert (response.status_int, response.location) == (303, "http://localhost/")
    assert response.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert browser.session in (None, "")
    assert site.execute(select(func.count()).select_from(Session)) == [(0,)]
    thief = site.browser()
    thief.set_cookie("session", str(old))
    assert not thief.is_signed_in()


def test_another_site_can_sign_nobody_out(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    assert browser.post("/logout", expect_errors=True).status_int == 403
    assert browser.is_signed_in()


@pytest.mark.parametrize(
    ("column", "age", "alive"),
    [
        ("last_seen_at", timedelta(days=6, hours=23), True),
        ("last_seen_at", timedelta(days=7, minutes=1), False),
        ("expires_at", timedelta(minutes=-1), True),
        ("expires_at", timedelta(minutes=1), False),
    ],
)
def test_sessions_end_when_idle_and_in_any_case(
    site: Site, browser: Browser, column: str, age: timedelta, alive: bool
) -> None:
    site.user("ada")
    browser.sign_in()
    age_session(site, **{column: age})
    assert browser.is_signed_in() is alive


def test_being_signed_in_costs_one_statement_and_no_write(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.get("/settings/password", expect_errors=True)
    with record_statements() as statements:
        browser.get("/login")
    assert statements == []
    browser.set_cookie("session", "too-short")
    with record_statements() as statements:
        browser.get("/login")
    assert statements == []
    browser.reset()
    browser.sign_in()
    browser.get("/settings/password")
    with record_statements() as statements:
        browser.get("/settings/password")
    assert len(statements) == 1
    assert "FROM sessions" in statements[0]


def test_being_seen_is_written_once_an_hour_after_the_answer(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    age_session(site, last_seen_at=timedelta(hours=2))
    for expected in (1, 0):
        with record_statements() as statements:
            browser.get("/settings/password")
        assert len([one for one in statements if one.startswith("UPDATE sessions")]) == expected
    [(seen,)] = site.execute(select(Session.last_seen_at))
    assert clock.now() - seen < timedelta(minutes=1)


def test_guessing_is_limited_by_name_and_address(site: Site, browser: Browser, rate_limits: Any) -> None:
    site.user("ada")
    for _ in range(10):
        assert browser.sign_in(password=NEW_PASSWORD).status_int == 422
    refused = browser.sign_in()
    assert refused.status_int == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 300
    assert site.browser(REMOTE_ADDR="198.51.100.1").sign_in().status_int == 303
    # A name that nobody has is limited just so: the limit tells nothing.
    for _ in range(10):
        assert browser.sign_in("nobody").status_int == 422
    assert browser.sign_in("nobody").status_int == 429


def test_guessing_is_limited_by_address_whatever_the_name(site: Site, browser: Browser, rate_limits: Any) -> None:
    for number in range(30):
        answer = browser.post_json("/api/login", {"username": f"u{number}", "password": "x"}, expect_errors=True)
        assert answer.status_int == 401
    answer = browser.post_json("/api/login", {"username": "u31", "password": "x"}, expect_errors=True)
    assert answer.status_int == 429
    assert answer.json["type"] == "http://localhost/problems/rate_limited"


def test_an_ipv6_subscriber_is_one_address(site: Site, rate_limits: Any) -> None:
    for number in range(30):
        browser = site.browser(REMOTE_ADDR=f"2001:db8:1:2::{number:x}")
        browser.post_json("/api/login", {"username": f"u{number}", "password": "x"}, status=401)
    credentials = {"username": "u31", "password": "x"}
    site.browser(REMOTE_ADDR="2001:db8:1:2:ffff::1").post_json("/api/login", credentials, status=429)
    site.browser(REMOTE_ADDR="2001:db8:1:3::1").post_json("/api/login", credentials, status=401)


def test_a_hash_of_an_older_kind_is_made_anew(site: Site, browser: Browser) -> None:
    from argon2 import PasswordHasher

    site.user("ada")
    site.execute(update(User).values(password_hash=PasswordHasher(time_cost=1, memory_cost=8192).hash(PASSWORD)))
    assert browser.sign_in().status_int == 303
    [(hashed,)] = site.execute(select(User.password_hash))
    assert "m=19456,t=2,p=1" in hashed
    assert site.browser().sign_in().status_int == 303


def test_devices_are_listed_and_ended(site: Site, browser: Browser) -> None:
    site.user("ada")
    site.user("eve")
    browser.sign_in()
    phone = site.browser(HTTP_USER_AGENT=FIREFOX)
    phone.sign_in()
    site.browser(HTTP_USER_AGENT="curl/8.9").post_json("/api/login", {"username": "ada", "password": PASSWORD})
    site.browser(HTTP_USER_AGENT="Eve/1").sign_in("eve")
    page = browser.get("/settings/sessions")
    rows = [row.get_text(" ", strip=True) for row in page.html.select(".row")]
    assert len(rows) == 3
    assert "This one" in rows[0]
    assert any("Firefox on Android" in row for row in rows[1:])
    assert any("The program curl" in row and "Over the API" in row for row in rows[1:])
    row = next(row for row in page.html.select(".row") if "Firefox" in row.get_text())
    fields = {item["name"]: item["value"] for item in row.select("input")}
    browser.post("/settings/sessions/end", fields, status=303)
    assert not phone.is_signed_in()
    assert browser.is_signed_in()
    # Once more there is nothing to end; and nobody ends another's.
    assert browser.post("/settings/sessions/end", fields, expect_errors=True).status_int == 404
    [(other,)] = site.execute(
        select(Session.id).join(Account, Account.id == Session.user_id).where(Account.username == "eve")
    )
    assert browser.post("/settings/sessions/end", fields | {"id": str(other)}, expect_errors=True).status_int == 404
    assert browser.post("/settings/sessions/end", fields | {"id": "1; DROP"}, expect_errors=True).status_int == 422
    assert site.execute(select(func.count()).select_from(Session)) == [(2,)]


def test_all_other_devices_are_ended_at_once(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    phone = site.browser()
    phone.sign_in()
    tokens = site.tokens()
    response = browser.fill("/settings/sessions", "/settings/sessions/end-others")
    assert response.status_int == 303
    assert "All other devices are signed out." in response.follow().text
    assert not phone.is_signed_in()
    header = {"Authorization": f"Bearer {tokens['access_token']}"}
    site.browser().get("/api/user/profile", headers=header, status=401)
    assert site.execute(select(Grant.revoked_at).where(Grant.revoked_at.is_(None))) == []


def test_ending_this_device_signs_out(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    response = browser.fill("/settings/sessions", "/settings/sessions/end")
    assert response.location == "http://localhost/"
    assert not browser.is_signed_in()


def test_settings_are_for_browsers_that_are_signed_in(site: Site, browser: Browser) -> None:
    site.user("ada")
    for page in ("", "/profile", "/password", "/sessions"):
        response = browser.get(f"/settings{page}")
        assert (response.status_int, response.location) == (
            303,
            f"http://localhost/login?next=%2Fsettings{page.replace('/', '%2F')}",
        )
        header = {"Authorization": f"Bearer {site.tokens()['access_token']}"}
        assert browser.get(f"/settings{page}", headers=header, expect_errors=True).status_int == 403


def test_the_language_is_kept_for_the_browser_and_the_person(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    page = browser.get("/settings/password")
    token = page.html.select_one("[name=csrf_token]")["value"]
    fields = {"lang": "zh_CN", "next": "/settings/password", "csrf_token": token}
    response = browser.post("/language", fields)
    assert (response.status_int, response.location) == (303, "http://localhost/settings/password")
    assert "Max-Age=31536000" in response.headers["Set-Cookie"]
    assert response.follow().html.html["lang"] == "zh-Hans"
    assert site.execute(select(User.locale)) == [("zh_CN",)]
    assert browser.post("/language", fields | {"next": "//evil.example"}).location == "http://localhost/"
    assert browser.post("/language", fields | {"lang": "tlh"}, expect_errors=True).status_int == 400
