"""Changing the password, and getting back in without it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select, update

from mealshare.core import clock
from mealshare.core.db import record_statements
from mealshare.core.jobs.models import Job
from mealshare.core.security.passwords import hash_password
from mealshare.features.accounts import service_passwords
from mealshare.features.accounts.models import Account, PasswordReset, Session, User
from tests.features.accounts.site import NEW_PASSWORD, Browser, Site, bearer, link_in
from tests.people import PASSWORD


def change(browser: Browser, current: str = PASSWORD, new: str = NEW_PASSWORD, again: str = NEW_PASSWORD) -> Any:
    """Change the password by the form."""
    return browser.fill("/settings/password", current_password=current, new_password=new, again=again)


def reset_link(site: Site, browser: Browser, email: str = "ada@example.org") -> str:
    """Ask for a link, and take it out of the mail."""
    assert browser.fill("/password/forgot", email=email).status_int == 200
    to, subject, text = site.mails()[-1]
    assert (to, subject) == ("ada@example.org", "Set a new password")
    return link_in(text)


def test_a_changed_password_ends_everything_else(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    phone, tokens = site.browser(), site.tokens()
    phone.sign_in()
    old = browser.session
    assert change(browser).status_int == 303
    assert browser.is_signed_in()
    assert browser.session != old
    assert not phone.is_signed_in()
    browser.get("/api/user/profile", headers=bearer(tokens["access_token"]), status=401)
    assert site.execute(select(User.generation)) == [(2,)]
    refresh = {"refresh_token": tokens["refresh_token"]}
    site.browser().post_json("/api/token/refresh", refresh, status=401)
    assert site.browser().sign_in().status_int == 422
    assert site.browser().sign_in(password=NEW_PASSWORD).status_int == 303
    [(to, subject, text)] = site.mails()
    assert (to, subject) == ("ada@example.org", "Your password was changed")
    assert NEW_PASSWORD not in text


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"current": "not the password"}, "current_password", "This is not your current password."),
        ({"new": "short", "again": "short"}, "new_password", "at least 12"),
        ({"new": "passwordpassword", "again": "passwordpassword"}, "new_password", "first that are guessed"),
        ({"new": "ada@example.org", "again": "ada@example.org"}, "new_password", "too close"),
        ({"again": "something else entirely"}, "again", "not the same"),
        ({"current": ""}, "current_password", "required"),
    ],
)
def test_what_is_no_change(site: Site, browser: Browser, fields: dict[str, str], field: str, words: str) -> None:
    site.user("ada")
    browser.sign_in()
    response = change(browser, **fields)
    assert response.status_int == 422
    assert words in response.html.select_one(f"#{field}-error").get_text()
    assert site.browser().sign_in().status_int == 303
    assert site.mails() == []


def test_the_current_password_is_not_guessed_in_an_open_browser(site: Site, browser: Browser, rate_limits: Any) -> None:
    site.user("ada")
    browser.sign_in()
    for _ in range(10):
        assert change(browser, current="wrong wrong wrong").status_int == 422
    assert change(browser).status_int == 429
    assert site.browser(REMOTE_ADDR="198.51.100.7").sign_in().status_int == 303


def test_who_forgot_gets_a_link_that_is_good_once(site: Site, browser: Browser) -> None:
    site.user("ada")
    phone, tokens = site.browser(), site.tokens()
    phone.sign_in()
    link = reset_link(site, browser, "ADA@Example.org")
    page = browser.get(link)
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "same-origin"
    response = browser.fill(link, new_password=NEW_PASSWORD, again=NEW_PASSWORD)
    assert (response.status_int, response.location) == (303, "http://localhost/login")
    assert not phone.is_signed_in()
    browser.get("/api/user/profile", headers=bearer(tokens["access_token"]), status=401)
    assert site.browser().sign_in(password=NEW_PASSWORD).status_int == 303
    assert browser.get(link, expect_errors=True).status_int == 404
    assert [subject for _, subject, _ in site.mails()] == ["Set a new password", "Your password was changed"]


def test_a_link_is_used_once_also_by_two_at_once(site: Site) -> None:
    site.user("ada")
    link = reset_link(site, site.browser())
    forms = []
    for _ in range(4):
        form = next(form for form in site.browser().get(link).forms.values() if form.action == "/password/reset")
        form["new_password"] = form["again"] = NEW_PASSWORD
        forms.append(form)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda form=form: statuses.append(form.submit(expect_errors=True).status_int))
        for form in forms
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303, 404, 404, 404]


def test_a_weak_password_does_not_use_the_link_up(site: Site, browser: Browser) -> None:
    site.user("ada")
    link = reset_link(site, browser)
    refused = browser.fill(link, new_password="ada@example.org", again="ada@example.org")
    assert refused.status_int == 422
    assert "too close" in refused.html.select_one("#new_password-error").get_text()
    form = next(form for form in refused.forms.values() if form.action == "/password/reset")
    form["new_password"] = form["again"] = NEW_PASSWORD
    assert form.submit().status_int == 303


@pytest.mark.parametrize("age", [timedelta(minutes=29), timedelta(minutes=31)])
def test_a_link_is_good_for_half_an_hour(site: Site, browser: Browser, age: timedelta) -> None:
    site.user("ada")
    link = reset_link(site, browser)
    site.execute(update(PasswordReset).values(expires_at=clock.now() + timedelta(minutes=30) - age))
    assert browser.get(link, expect_errors=True).status_int == (200 if age < timedelta(minutes=30) else 404)


def test_a_link_of_somebody_suspended_is_worth_nothing(site: Site, browser: Browser) -> None:
    site.user("ada")
    link = reset_link(site, browser)
    site.execute(update(Account).values(suspended_at=clock.now()))
    assert browser.get(link, expect_errors=True).status_int == 404


def test_a_changed_password_ends_the_links(site: Site, browser: Browser) -> None:
    site.user("ada")
    link = reset_link(site, site.browser())
    browser.sign_in()
    change(browser)
    assert browser.get(link, expect_errors=True).status_int == 404


def test_asking_tells_nobody_who_has_an_account(site: Site) -> None:
    site.user("ada")
    seen = []
    for email in ("ada@example.org", "nobody@example.org"):
        browser = site.browser()
        token = browser.get("/password/forgot").html.select_one("[name=csrf_token]")["value"]
        with record_statements() as statements:
            response = browser.post("/password/forgot", {"email": email, "csrf_token": token})
        seen.append((response.status_int, response.html.select_one("main").decode(), len(statements)))
    assert seen[0] == seen[1]
    assert len(site.mails()) == 1


def test_the_token_of_a_link_is_stored_nowhere(site: Site, browser: Browser) -> None:
    site.user("ada")
    link = reset_link(site, browser)
    token = link.partition("token=")[2]
    assert len(token) == 43
    [(row,)] = site.execute(select(PasswordReset))
    assert token.encode() not in row.token_hash
    assert site.execute(select(func.count()).select_from(Job)) == [(0,)]


def test_links_name_the_configured_site_whatever_the_host_says(site: Site) -> None:
    site.user("ada")
    evil = site.browser(HTTP_HOST="evil.example", HTTP_X_FORWARDED_HOST="evil.example")
    token = evil.get("/password/forgot").html.select_one("[name=csrf_token]")["value"]
    evil.post("/password/forgot", {"email": "ada@example.org", "csrf_token": token})
    [(_, _, text)] = site.mails()
    assert "http://localhost/password/reset?token=" in text
    assert "evil" not in text


def test_mails_to_one_address_are_limited(site: Site, browser: Browser, rate_limits: Any) -> None:
    site.user("ada")
    for number in range(5):
        other = site.browser(REMOTE_ADDR=f"192.0.2.{number}")
        assert other.fill("/password/forgot", email="ada@example.org").status_int == 200
    assert browser.fill("/password/forgot", email="Ada@example.org").status_int == 429
    assert len(site.mails()) == 5


def test_a_link_that_never_was(site: Site, browser: Browser) -> None:
    for token in ("", "x", "x" * 43, "%00", "%E5%B0%8F"):
        page = browser.get(f"/password/reset?token={token}", expect_errors=True)
        assert page.status_int == 404
        assert "This link is no longer good." in page.text
    token = browser.get("/password/forgot").html.select_one("[name=csrf_token]")["value"]
    fields = {"token": "x" * 43, "new_password": NEW_PASSWORD, "again": NEW_PASSWORD, "csrf_token": token}
    assert browser.post("/password/reset", fields, expect_errors=True).status_int == 404
    assert site.execute(select(func.count()).select_from(Session)) == [(0,)]


@pytest.mark.parametrize("way", ["change", "reset"])
def test_a_password_is_hashed_before_the_transaction_begins(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A hash takes long, and on SQLite whoever writes keeps all other writers waiting."""
    site.user("ada")
    link = reset_link(site, browser) if way == "reset" else ""
    if way == "change":
        browser.sign_in()
    steps: list[str] = []

    def hashed(password: str) -> str:
        steps.append("hash")
        return hash_password(password)

    def begun(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get("mealshare_read") and options.get("isolation_level") != "AUTOCOMMIT":
            steps.append("begin")

    monkeypatch.setattr(service_passwords, "hash_password", hashed)
    page = browser.get(link) if link else None
    event.listen(site.registry["engine"], "begin", begun)
    try:
        if page is None:
            change(browser)
        else:
            form = next(form for form in page.forms.values() if form.action == "/password/reset")
            form["new_password"] = form["again"] = NEW_PASSWORD
            assert form.submit().status_int == 303
    finally:
        event.remove(site.registry["engine"], "begin", begun)
    assert steps[:2] == ["hash", "begin"]
