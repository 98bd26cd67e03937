"""What is signed in, and the password, over JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from mealshare.core import clock
from mealshare.core.db import record_statements
from mealshare.core.security.passwords import hash_password
from mealshare.features.accounts import service_login
from mealshare.features.accounts.models import Grant, Session, User
from tests.features.accounts.site import (
    FIREFOX,
    NEW_PASSWORD,
    PROFILE,
    Browser,
    Site,
    bearer,
    code_of,
    refresh,
    refused,
)
from tests.people import PASSWORD

DEVICES, CHANGE = "/api/devices", {"current_password": PASSWORD, "new_password": NEW_PASSWORD}


def login(site: Site, agent: str, username: str = "ada") -> dict[str, Any]:
    """A program signs in."""
    credentials = {"username": username, "password": PASSWORD}
    tokens: dict[str, Any] = site.browser(HTTP_USER_AGENT=agent).post_json("/api/login", credentials).json
    return tokens


def csrf_of(browser: Browser) -> dict[str, str]:
    """The header that a browser's script sends with its cookie."""
    return {"X-CSRF-Token": browser.get("/settings/password").html.select_one("[name=csrf_token]")["value"]}


def test_devices_are_listed_for_both_and_ended(site: Site, browser: Browser) -> None:
    site.user("ada")
    site.user("eve")
    phone = site.browser(HTTP_USER_AGENT=FIREFOX)
    phone.sign_in()
    browser.sign_in()
    script, bot, eve = login(site, "curl/8.9"), login(site, "bot/1"), login(site, "eve/1", "eve")
    header = bearer(script["access_token"])
    with record_statements() as statements:
        answer = browser.get(DEVICES, headers=header)
    assert len(statements) == 2
    assert [(item["kind"], item["description"], item["current"]) for item in answer.json] == [
        ("program", "The program bot", False), ("program", "The program curl", True),
        ("browser", "An unknown device", False), ("browser", "Firefox on Android", False),
    ]  # fmt: skip
    assert {item["address"] for item in answer.json} == {"192.0.2.1"}
    assert all(item["created_at"].endswith("Z") and item["last_used_at"].endswith("Z") for item in answer.json)
    chinese = browser.get(DEVICES, headers=header | {"Accept-Language": "zh"}).json
    assert chinese[3]["description"] != "Firefox on Android"
    # The same for the browser, whose own row is another one.
    mine = browser.get(DEVICES).json
    assert [item["current"] for item in mine] == [False, False, True, False]
    # In pages.
    ids = [item["id"] for item in mine]
    first = browser.get(f"{DEVICES}?limit=3")
    assert [item["id"] for item in first.json] == ids[:3]
    assert f"max_id={ids[2]}" in first.headers["Link"]
    assert [item["id"] for item in browser.get(f"{DEVICES}?min_id={ids[3]}&limit=2").json] == ids[1:3]
    # One by one; nobody ends another's.
    [theirs] = browser.get(DEVICES, headers=bearer(eve["access_token"])).json
    for id in (theirs["id"], "1", "x"):
        assert browser.delete(f"{DEVICES}/{id}", headers=header, expect_errors=True).status_int == 404
    for id in (ids[0], ids[3]):
        browser.delete(f"{DEVICES}/{id}", headers=header, status=204)
        assert browser.delete(f"{DEVICES}/{id}", headers=header, expect_errors=True).status_int == 404
    assert refused(site, bot["access_token"]) == "token_revoked"
    assert code_of(refresh(site, bot["refresh_token"])) == "refresh_token_invalid"
    assert not phone.is_signed_in()
    assert browser.is_signed_in()
    assert refused(site, eve["access_token"]) is None


@pytest.mark.parametrize("by", ["program", "browser"])
def test_all_others_end_at_once(site: Site, browser: Browser, by: str) -> None:
    site.user("ada")
    browser.sign_in()
    tokens, other, phone = site.tokens(), site.tokens(), site.browser()
    phone.sign_in()
    header = bearer(tokens["access_token"]) if by == "program" else csrf_of(browser)
    browser.delete(DEVICES, headers=header, status=204)
    assert not phone.is_signed_in()
    assert refused(site, other["access_token"]) == "token_revoked"
    assert browser.is_signed_in() is (by == "browser")
    assert (refused(site, tokens["access_token"]) is None) is (by == "program")
    assert len(browser.get(DEVICES, headers=header if by == "program" else {}).json) == 1


def test_the_one_that_asks_may_end_itself(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    tokens = site.tokens()
    header = bearer(tokens["access_token"])
    current = {item["kind"]: item["id"] for item in browser.get(DEVICES).json}
    browser.delete(f"{DEVICES}/{current['program']}", headers=header, status=204)
    assert refused(site, tokens["access_token"]) == "token_revoked"
    answer = browser.delete(f"{DEVICES}/{current['browser']}", headers=csrf_of(browser), status=204)
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert not browser.is_signed_in()


def test_what_has_ended_is_no_device(site: Site, browser: Browser) -> None:
    site.user("ada")
    for days in (8, 15):
        site.browser().sign_in()
        login(site, "old/1")
        ago = clock.now() - timedelta(days=days)
        site.execute(update(Session).values(last_seen_at=ago))
        site.execute(update(Grant).values(last_used_at=ago))
    header = bearer(login(site, "new/1")["access_token"])
    assert [item["description"] for item in browser.get(DEVICES, headers=header).json] == ["The program new"]


def test_a_program_changes_the_password_and_goes_on(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    narrow = {"username": "ada", "password": PASSWORD, "scope": "write"}
    tokens = site.browser().post_json("/api/login", narrow).json
    answer = site.browser().put_json("/api/user/password", CHANGE, headers=bearer(tokens["access_token"]))
    assert answer.headers["Cache-Control"] == "no-store"
    new = answer.json["tokens"]
    assert (new["token_type"], new["scope"]) == ("bearer", "write")
    site.browser().patch_json(PROFILE, {"bio": "x"}, headers=bearer(new["access_token"]))
    assert refresh(site, new["refresh_token"]).status_int == 200
    # Everything before it is over.
    assert refused(site, tokens["access_token"]) == "token_revoked"
    assert code_of(refresh(site, tokens["refresh_token"])) == "refresh_token_invalid"
    assert not browser.is_signed_in()
    assert site.browser().sign_in().status_int == 422
    assert site.browser().sign_in(password=NEW_PASSWORD).status_int == 303
    [(to, subject, _text)] = site.mails()
    assert (to, subject) == ("ada@example.org", "Your password was changed")


def test_a_browsers_script_changes_the_password_and_goes_on(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    old, phone = browser.session, site.browser()
    phone.sign_in()
    answer = browser.put_json("/api/user/password", CHANGE, headers=csrf_of(browser))
    assert answer.json == {"tokens": None}
    assert browser.session != old
    assert browser.is_signed_in()
    assert not phone.is_signed_in()
    assert "HttpOnly" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"current_password": "not the password"}, "#/current_password", "password_wrong"),
        ({"new_password": "short"}, "#/new_password", "too_short"),
        ({"new_password": "ada@example.org"}, "#/new_password", "password_same_as_name"),
        ({"new_password": "passwordpassword"}, "#/new_password", "password_common"),
        ({"new_password": None}, "#/new_password", "not_text"),
        ({"username": "eve"}, "#/username", "unknown"),
    ],
)
def test_what_is_no_change_over_json(
    site: Site, browser: Browser, change: dict[str, Any], pointer: str, code: str
) -> None:
    site.user("ada")
    tokens = site.tokens()
    header = bearer(tokens["access_token"])
    answer = browser.put_json("/api/user/password", CHANGE | change, headers=header, status=422)
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [(pointer, code)]
    assert refused(site, tokens["access_token"]) is None
    assert site.browser().sign_in().status_int == 303


def test_the_password_is_not_guessed_over_json(site: Site, browser: Browser, rate_limits: Any) -> None:
    """The same limit as on the page, and counted together with it."""
    site.user("ada")
    header = bearer(site.tokens()["access_token"])
    wrong = CHANGE | {"current_password": "wrong wrong wrong"}
    for _ in range(10):
        browser.put_json("/api/user/password", wrong, headers=header, status=422)
    answer = browser.put_json("/api/user/password", CHANGE, headers=header, status=429)
    assert int(answer.headers["Retry-After"]) > 0
    browser.sign_in()
    page = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "again": NEW_PASSWORD}
    assert browser.fill("/settings/password", **page).status_int == 429


@pytest.mark.parametrize("way", ["program", "browser"])
def test_a_sign_in_during_a_change_does_not_outlive_it(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Checking a password takes longer than changing it: who gave the old one in time must not come in late."""
    site.user("ada")
    check = service_login.verify_password

    def slow(stored: str | None, given: str) -> bool:
        good = check(stored, given)
        new = {"password_hash": hash_password(NEW_PASSWORD), "generation": User.generation + 1}
        site.execute(update(User).values(new))
        return good

    monkeypatch.setattr(service_login, "verify_password", slow)
    if way == "program":
        answer = browser.post_json("/api/login", {"username": "ada", "password": PASSWORD}, status=401)
        assert code_of(answer) == "bad_credentials"
    else:
        assert browser.sign_in().status_int == 422
        assert browser.session is None
    counts = [site.execute(select(func.count()).select_from(table)) for table in (Grant, Session)]
    assert counts == [[(0,)], [(0,)]]
