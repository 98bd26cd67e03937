"""Registering, in the browser and over JSON."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select, update

from mealshare.core.errors import InputInvalid
from mealshare.core.security import SiteSettings
from mealshare.core.security.identity import AuthMethod
from mealshare.core.settings import settings_of
from mealshare.features.accounts.models import Account, Session, User
from mealshare.features.accounts.service import AccountService, NewAccount
from tests.features.accounts.site import Browser, Site
from tests.people import PASSWORD

ADA = {"username": "Ada", "email": "ada@Example.ORG", "password": PASSWORD}


def test_a_visitor_registers_and_is_signed_in(site: Site, browser: Browser) -> None:
    response = browser.fill("/register?next=/new", **ADA, time_zone="Asia/Shanghai")
    assert (response.status_int, response.location) == (303, "http://localhost/new")
    assert browser.is_signed_in()
    [row] = site.execute(select(Account, User).join(User, User.id == Account.id))
    account, user = row
    assert (account.username, account.display_name, account.domain) == ("Ada", "Ada", "")
    assert account.uri == "http://localhost/users/Ada"
    assert account.url == "http://localhost/@Ada"
    assert (user.email, user.role, user.locale, user.time_zone) == ("ada@example.org", "user", "en", "Asia/Shanghai")
    assert user.password_hash.startswith("$argon2id$")


def test_the_time_zone_of_a_script_is_not_trusted(site: Site, browser: Browser) -> None:
    assert browser.fill("/register", **ADA, time_zone="../etc/passwd").status_int == 303
    assert site.execute(select(User.time_zone)) == [("UTC",)]


def test_the_language_of_the_page_becomes_that_of_the_account(site: Site, browser: Browser) -> None:
    browser.set_cookie("lang", "zh_CN")
    assert browser.fill("/register", **ADA).status_int == 303
    assert site.execute(select(User.locale)) == [("zh_CN",)]


def test_everything_wrong_is_shown_at_once_and_nothing_typed_is_lost(site: Site, browser: Browser) -> None:
    response = browser.fill("/register", username="a b", email="nobody", password="short")
    assert response.status_int == 422
    page = response.html
    assert [link["href"] for link in page.select(".error-summary a")] == ["#username", "#email", "#password"]
    names = [link.get_text().partition(":")[0] for link in page.select(".error-summary a")]
    assert names == ["Username", "E-mail", "Password"]
    for name in ("username", "email", "password"):
        field = page.select_one(f"#{name}")
        assert field["aria-invalid"] == "true"
        assert page.select_one(f"#{name}-error").get_text(strip=True)
        assert all(page.find(id=part) for part in field["aria-describedby"].split())
    assert page.select_one("#username")["value"] == "a b"
    assert not page.select_one("#password").get("value")
    assert page.title.string.strip().startswith("Error")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("username", "ad", "too_short"),
        ("username", "a" * 31, "too_long"),
        ("username", "ada lovelace", "username_characters"),
        ("username", "аda", "username_characters"),
        ("username", "_ada", "username_underscore"),
        ("username", "12345", "username_needs_letter"),
        ("username", "admin", "username_reserved"),
        ("username", "ada\0x", "bad_json"),
        ("email", "ada", "bad_email"),
        ("email", "ada@localhost", "bad_email"),
        ("email", "a@example.org,b@example.org", "bad_email"),
        ("email", "ada@example.org\r\nBcc: eve@example.org", "bad_email"),
        ("password", "elevenchars", "too_short"),
        ("password", "x" * 257, "too_long"),
        ("password", "passwordpassword", "password_common"),
        ("password", "grace@example.org", "password_same_as_name"),
        ("locale", "tlh", "not_a_choice"),
        ("time_zone", "Mars/Olympus", "bad_time_zone"),
        ("role", "admin", "unknown"),
        ("id", "1", "unknown"),
    ],
)
def test_what_the_api_refuses(site: Site, browser: Browser, field: str, value: str, code: str) -> None:
    given = {"username": "grace", "email": "grace@example.org", "password": PASSWORD, field: value}
    answer = browser.post_json("/api/users", given, expect_errors=True)
    if code == "bad_json":
        assert (answer.status_int, answer.json["type"]) == (400, "http://localhost/problems/bad_json")
    else:
        assert answer.status_int == 422
        assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [(f"#/{field}", code)]
    assert site.execute(select(func.count()).select_from(Account)) == [(0,)]


def test_registering_over_json_gives_the_profile_and_its_address(site: Site, browser: Browser) -> None:
    answer = browser.post_json("/api/users", ADA)
    assert answer.status_int == 201
    assert answer.headers["Location"] == "http://localhost/api/users/Ada"
    assert answer.json["username"] == "Ada"
    assert "email" not in answer.json
    assert not browser.cookies
    assert browser.get("/api/users/ada").json == answer.json


def test_a_name_is_taken_whatever_its_case(site: Site, browser: Browser) -> None:
    site.user("ada")
    response = browser.fill("/register", username="ADA", email="other@example.org", password=PASSWORD)
    assert response.status_int == 422
    assert "This username is taken." in response.text


def test_the_name_of_a_suspended_account_stays_taken(site: Site, browser: Browser) -> None:
    site.user("ada")
    site.execute(update(Account).values(suspended_at=func.current_timestamp()))
    answer = browser.post_json("/api/users", ADA | {"email": "x@example.org"}, expect_errors=True)
    assert answer.json["errors"][0]["code"] == "username_taken"


def test_a_used_address_is_answered_neutrally_and_its_owner_hears_of_it(site: Site, browser: Browser) -> None:
    site.user("ada")
    given = {"username": "eve", "email": "ADA@example.org", "password": PASSWORD}
    answers = [browser.post_json("/api/users", given, expect_errors=True) for _ in range(2)]
    assert [answer.json["errors"][0]["code"] for answer in answers] == ["email_unusable"] * 2
    [(to, subject, text)] = site.mails()
    assert (to, subject) == ("ada@example.org", "Somebody tried to register with your address")
    assert "@ada" in text
    assert "eve" not in text


def test_of_many_at_once_one_gets_the_name(site: Site) -> None:
    answers: list[tuple[int, str]] = []
    barrier = threading.Barrier(6)

    def register(number: int) -> None:
        browser = site.browser(REMOTE_ADDR=f"192.0.2.{number}")
        given = {"username": "ada", "email": f"a{number}@example.org", "password": PASSWORD}
        barrier.wait()
        answer = browser.post_json("/api/users", given, expect_errors=True)
        answers.append((answer.status_int, answer.json["errors"][0]["code"] if answer.status_int == 422 else ""))

    threads = [threading.Thread(target=register, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [(201, ""), *[(422, "username_taken")] * 5]
    assert site.execute(select(func.count()).select_from(User)) == [(1,)]


def test_the_unique_indexes_decide_who_was_first(site: Site) -> None:
    with site.registry["open_work"]() as work:
        service = AccountService(work, "http://localhost")
        service.create(NewAccount("ada", "ada@example.org", "hash"))
        with pytest.raises(InputInvalid) as same_address:
            service.create(NewAccount("eve", "Ada@example.org", "hash"))
        with pytest.raises(InputInvalid) as same_name:
            service.create(NewAccount("ADA", "eve@example.org", "hash"))
        service.create(NewAccount("grace", "grace@example.org", "hash"))
    assert same_address.value.errors[0].code == "email_unusable"
    assert same_name.value.errors[0].code == "username_taken"
    assert sorted(site.execute(select(Account.username))) == [("ada",), ("grace",)]


def test_sign_ups_are_limited_by_address_and_typing_errors_do_not_count(
    site: Site, browser: Browser, rate_limits: Any
) -> None:
    site.user("taken")
    for number in range(8):
        given = {"username": "taken", "email": f"a{number}@example.org", "password": PASSWORD}
        assert browser.post_json("/api/users", given, expect_errors=True).status_int == 422
    for number in range(5):
        given = {"username": f"ada{number}", "email": f"a{number}@example.org", "password": PASSWORD}
        assert browser.post_json("/api/users", given).status_int == 201
    last = {"username": "ada_six", "email": "six@example.org", "password": PASSWORD}
    refused = browser.post_json("/api/users", last, expect_errors=True)
    assert refused.status_int == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 1800
    # A forged X-Forwarded-For makes nobody somebody else; another address does.
    forged = browser.post_json("/api/users", last, headers={"X-Forwarded-For": "198.51.100.9"}, expect_errors=True)
    assert forged.status_int == 429
    assert site.browser(REMOTE_ADDR="198.51.100.9").post_json("/api/users", last).status_int == 201


def test_a_closed_site_says_so(site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = replace(settings_of(site.registry, SiteSettings), registration="closed")
    monkeypatch.setitem(site.registry["settings"], SiteSettings, closed)
    page = browser.get("/register", expect_errors=True)
    assert page.status_int == 403
    assert "takes no new accounts" in page.text
    answer = browser.post_json("/api/users", ADA, expect_errors=True)
    assert (answer.status_int, answer.json["type"]) == (403, "http://localhost/problems/registration_closed")
    assert "/register" not in browser.get("/login").html.select_one("main").decode()
    site.user("ada")
    assert site.browser().sign_in().status_int == 303


def test_a_hook_acts_as_the_new_account_in_the_same_transaction_and_chooses_the_way(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def hook(request: Any, account_id: int) -> str:
        seen.append((account_id, request.identity.account_id, request.identity.method, request.identity.username))
        request.work.session.execute(update(Account).where(Account.id == account_id).values(bio="from the hook"))
        return "/@ada/1"

    monkeypatch.setitem(site.registry, "sign_in_hooks", [hook])
    response = browser.fill("/register?next=/new", **ADA | {"username": "ada"})
    assert response.location == "http://localhost/@ada/1"
    [(account_id, bio)] = site.execute(select(Account.id, Account.bio))
    assert bio == "from the hook"
    assert seen == [(account_id, account_id, AuthMethod.SESSION, "ada")]


def test_a_hook_that_fails_leaves_no_account_behind(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hook(request: Any, account_id: int) -> str:
        raise RuntimeError("the meal could not be published")

    monkeypatch.setitem(site.registry, "sign_in_hooks", [hook])
    assert browser.fill("/register", **ADA).status_int == 500
    assert site.execute(select(func.count()).select_from(Account)) == [(0,)]
    assert site.execute(select(func.count()).select_from(Session)) == [(0,)]
    assert browser.session is None


def test_registering_needs_the_token_of_the_form(site: Site, browser: Browser) -> None:
    assert browser.post("/register", ADA, expect_errors=True).status_int == 403
    assert site.execute(select(func.count()).select_from(Account)) == [(0,)]
