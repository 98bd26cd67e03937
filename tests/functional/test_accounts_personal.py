"""Personal access tokens: made by page and API, shown once, used, listed, ended."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from mealshare.core import clock
from mealshare.core.db import record_statements
from mealshare.core.ids import new_id
from mealshare.core.security.identity import Role
from mealshare.core.security.permissions import RuleBook
from mealshare.core.security.tokens import hash_token, is_personal_token
from mealshare.features.accounts import service_personal
from mealshare.features.accounts.jobs import sweep_expired
from mealshare.features.accounts.models import Account, Grant, PersonalToken, User
from mealshare.features.accounts.service import set_role
from mealshare.features.accounts.service_personal import MOST_TOKENS
from tests.features.accounts.site import (
    BASE,
    NEW_PASSWORD,
    PROFILE,
    Browser,
    Site,
    bearer,
    code_of,
    link_in,
    refresh,
    refused,
)
from tests.people import PASSWORD

WANTED = {"name": "Kitchen scale", "scopes": ["write", "read"], "expires_at": None}
TOKENS = "/api/tokens"


def signed_in(site: Site, username: str = "ada") -> dict[str, str]:
    """The header of a program that signed in."""
    return bearer(site.tokens(username)["access_token"])


def make(site: Site, header: dict[str, str] | None = None, **wanted: Any) -> dict[str, Any]:
    """A new token of ada's."""
    answer = site.browser().post_json(TOKENS, WANTED | wanted, headers=header or signed_in(site), status=201)
    made: dict[str, Any] = answer.json
    return made


def denial(answer: Any) -> tuple[int, str]:
    """The status and the problem code."""
    return answer.status_int, code_of(answer)


def test_a_token_is_made_shown_once_and_used(site: Site, browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    site.user("ada")
    header = signed_in(site)
    end = (clock.now() + timedelta(days=30)).replace(microsecond=0)
    wanted = WANTED | {"expires_at": end.isoformat(), "scopes": ["write", "read", "write"]}
    with caplog.at_level(logging.INFO):
        answer = browser.post_json(TOKENS, wanted, headers=header, status=201)
    made = answer.json
    assert is_personal_token(made["token"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Location"] == f"{BASE}/api/tokens/{made['id']}"
    assert (made["name"], made["scopes"], made["last_used_at"]) == ("Kitchen scale", ["read", "write"], None)
    [(row,)] = site.execute(select(PersonalToken))
    assert (row.token_hash, row.expires_at) == (hash_token(made["token"]), end)
    [line] = [line for line in caplog.records if line.message == "accounts.token_created"]
    assert vars(line)["token_id"] == row.id
    assert not any(made["token"] in str(vars(line)) for line in caplog.records)
    # Shown never again, by no address.
    shown = browser.get(f"{TOKENS}/{made['id']}", headers=header)
    listed = browser.get(TOKENS, headers=header)
    assert shown.json == {name: value for name, value in made.items() if name != "token"} == listed.json[0]
    browser.sign_in()
    assert made["token"] not in browser.get("/settings/tokens").text
    # It does what its scopes say, and is nobody but its owner.
    program = site.browser()
    assert program.get(PROFILE, headers=bearer(made["token"])).json["username"] == "ada"
    assert program.patch_json(PROFILE, {"bio": "x"}, headers=bearer(made["token"])).status_int == 200
    follow = program.put("/api/users/ada/follow", headers=bearer(made["token"]), expect_errors=True)
    assert denial(follow) == (403, "scope_missing")


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"name": ""}, "#/name", "too_short"),
        ({"name": "  \t "}, "#/name", "too_short"),
        ({"name": "x" * 101}, "#/name", "too_long"),
        ({"name": 7}, "#/name", "not_text"),
        ({"scopes": []}, "#/scopes", "too_few"),
        ({"scopes": ["read"] * 21}, "#/scopes", "too_many"),
        ({"scopes": ["root"]}, "#/scopes/0", "not_a_choice"),
        ({"scopes": "read"}, "#/scopes", "not_list"),
        ({"scopes": ["read", "admin:write"]}, "#/scopes", "scope_not_held"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "#/expires_at", "expiry_range"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "#/expires_at", "expiry_range"),
        ({"expires_at": "2027-01-01T00:00:00"}, "#/expires_at", "bad_datetime"),
        ({"expires_at": "soon"}, "#/expires_at", "bad_datetime"),
        ({"token": "msp_mine"}, "#/token", "unknown"),
        ({"user_id": "1"}, "#/user_id", "unknown"),
    ],
)
def test_what_is_no_token(site: Site, browser: Browser, change: dict[str, Any], pointer: str, code: str) -> None:
    site.user("ada")
    answer = browser.post_json(TOKENS, WANTED | change, headers=signed_in(site), expect_errors=True)
    assert denial(answer) == (422, "invalid")
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [(pointer, code)]
    assert site.execute(select(func.count()).select_from(PersonalToken)) == [(0,)]


def test_nobody_forgets_when_it_ends(site: Site, browser: Browser) -> None:
    """Without an end is a choice that has to be said."""
    site.user("ada")
    wanted = {"name": "x", "scopes": ["read"]}
    answer = browser.post_json(TOKENS, wanted, headers=signed_in(site), status=422)
    assert answer.json["errors"][0]["code"] == "missing"


def test_a_narrow_sign_in_hands_on_no_more_than_it_has(site: Site, browser: Browser) -> None:
    site.user("ada", Role.MODERATOR)
    login = {"username": "ada", "password": PASSWORD, "scope": "write read"}
    narrow = browser.post_json("/api/login", login).json
    assert narrow["scope"] == "read write"
    header = bearer(narrow["access_token"])
    refusal = browser.post_json(TOKENS, WANTED | {"scopes": ["follow"]}, headers=header, status=422)
    assert refusal.json["errors"][0]["code"] == "scope_not_held"
    # What a sign-in was given stays with it when it is refreshed.
    again = refresh(site, narrow["refresh_token"]).json
    assert again["scope"] == "read write"
    answer = browser.put("/api/users/ada/follow", headers=bearer(again["access_token"]), expect_errors=True)
    assert denial(answer) == (403, "scope_missing")
    # A moderator's browser and full sign-in hand on a moderator's scopes.
    assert make(site, scopes=["admin:write"])["scopes"] == ["admin:write"]


@pytest.mark.parametrize(
    ("scope", "code"),
    [("", "not_a_choice"), ("root", "not_a_choice"), ("read  write", "not_a_choice"), ("read,write", "not_a_choice"),
     ("read " * 100, "too_long"), ("read admin:read", "scope_not_held"), (["read"], "not_text")],
)  # fmt: skip
def test_scopes_that_a_login_does_not_give(site: Site, browser: Browser, scope: Any, code: str) -> None:
    site.user("ada")
    answer = browser.post_json("/api/login", {"username": "ada", "password": PASSWORD, "scope": scope}, status=422)
    assert [error["code"] for error in answer.json["errors"]] == [code]
    assert site.execute(select(func.count()).select_from(Grant)) == [(0,)]
    # Which scopes somebody has is not told to one who does not know the password.
    wrong = browser.post_json("/api/login", {"username": "ada", "password": "x", "scope": "admin:read"}, status=401)
    assert code_of(wrong) == "bad_credentials"


def test_a_personal_token_reaches_no_other_way_in(site: Site, browser: Browser) -> None:
    """One that leaked cannot make itself broader, look for others, end them, or change the password."""
    site.user("ada")
    scopes = ["read", "write", "follow", "media"]
    made, other = make(site, scopes=scopes), make(site)
    header = bearer(made["token"])
    for method, path, body in (
        ("GET", TOKENS, None), ("POST", TOKENS, WANTED), ("DELETE", TOKENS, None),
        ("GET", f"{TOKENS}/{other['id']}", None), ("DELETE", f"{TOKENS}/{other['id']}", None),
        ("GET", f"{TOKENS}/1", None), ("GET", "/api/devices", None), ("DELETE", "/api/devices", None),
        ("DELETE", "/api/devices/1", None),
        ("PUT", "/api/user/password", {"current_password": PASSWORD, "new_password": NEW_PASSWORD}),
    ):  # fmt: skip
        send = getattr(browser, f"{method.lower()}_json" if body else method.lower())
        answer = send(path, *([body] if body else []), headers=header, expect_errors=True)
        assert denial(answer) == (403, "no_personal_token"), (method, path)
    for page in ("/settings/tokens", "/settings/password", "/settings/sessions"):
        assert browser.get(page, headers=header, expect_errors=True).status_int == 403
    assert denial(refresh(site, made["token"])) == (401, "refresh_token_invalid")
    # The one thing it can do about tokens: end itself, as whoever finds it should.
    browser.post("/api/logout", headers=header, status=204)
    assert refused(site, made["token"]) == "token_unknown"
    assert refused(site, other["token"]) is None


def test_tokens_are_paged_and_nobody_elses(site: Site, browser: Browser) -> None:
    site.user("ada")
    site.user("eve")
    header, eve = signed_in(site), signed_in(site, "eve")
    ids = [make(site, header, name=f"n{number}")["id"] for number in range(5)]
    theirs = make(site, eve)
    first = browser.get(f"{TOKENS}?limit=2", headers=header)
    assert [token["id"] for token in first.json] == ids[:2:-1]
    assert f'<{BASE}{TOKENS}?limit=2&max_id={ids[3]}>; rel="next"' in first.headers["Link"]
    second = browser.get(f"{TOKENS}?limit=2&max_id={ids[3]}", headers=header)
    assert [token["id"] for token in second.json] == [ids[2], ids[1]]
    back = browser.get(f"{TOKENS}?limit=2&min_id={ids[2]}", headers=header)
    assert [token["id"] for token in back.json] == [ids[4], ids[3]]
    assert [token["id"] for token in browser.get(f"{TOKENS}?skip=4", headers=header).json] == [ids[0]]
    for path in (f"{TOKENS}/{theirs['id']}", f"{TOKENS}/1", f"{TOKENS}/x", f"{TOKENS}/{2**63}"):
        for send in (browser.get, browser.delete):
            assert denial(send(path, headers=header, expect_errors=True)) == (404, "not_found"), path
    with record_statements() as statements:
        browser.get(TOKENS, headers=header)
    assert len(statements) == 2
    # One, then all; of eve's none.
    browser.delete(f"{TOKENS}/{ids[0]}", headers=header, status=204)
    assert browser.delete(f"{TOKENS}/{ids[0]}", headers=header, expect_errors=True).status_int == 404
    for _ in range(2):
        browser.delete(TOKENS, headers=header, status=204)
    assert browser.get(TOKENS, headers=header).json == []
    assert refused(site, theirs["token"]) is None


def test_a_token_costs_one_statement_and_notes_its_use_afterwards(site: Site, browser: Browser) -> None:
    site.user("ada")
    program = signed_in(site)
    made = make(site, program)
    header = bearer(made["token"])
    counts = []
    for asked_with in (header, header, program):
        with record_statements() as statements:
            browser.get("/api/users/ada", headers=asked_with)
        counts.append([one.partition(" ")[0] for one in statements])
    # The note is written once, after the answer; then it costs what an access token costs.
    assert counts == [["SELECT", "SELECT", "UPDATE"], ["SELECT"] * 2, ["SELECT"] * 2]
    [(first,)] = site.execute(select(PersonalToken.last_used_at))
    assert clock.now() - first < timedelta(minutes=1)
    for age, written in ((timedelta(minutes=4), False), (timedelta(minutes=6), True)):
        used = clock.now() - age
        site.execute(update(PersonalToken).values(last_used_at=used))
        browser.get("/api/users/ada", headers=header)
        assert (site.execute(select(PersonalToken.last_used_at)) != [(used,)]) is written
    with record_statements() as statements:
        assert refused(site, "msp_" + "x" * 42) == "token_malformed"
        assert refused(site, "msp_" + "x" * 42 + "!") == "token_malformed"
    assert statements == []


def test_a_refusal_is_no_use(site: Site, browser: Browser) -> None:
    site.user("ada")
    made = make(site)
    site.execute(update(PersonalToken).values(expires_at=clock.now() - timedelta(seconds=1)))
    assert refused(site, made["token"]) == "token_expired"
    assert site.execute(select(PersonalToken.last_used_at)) == [(None,)]


@pytest.mark.parametrize("way", ["page", "link", "api", "role"])
def test_all_tokens_end_with_the_password_and_the_role(site: Site, browser: Browser, way: str) -> None:
    site.user("ada")
    site.user("eve")
    browser.sign_in()
    mine, theirs = make(site), make(site, signed_in(site, "eve"))
    if way == "page":
        fields = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "again": NEW_PASSWORD}
        browser.fill("/settings/password", **fields)
    elif way == "api":
        change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        browser.put_json("/api/user/password", change, headers=signed_in(site), status=200)
    elif way == "link":
        browser.reset()
        browser.fill("/password/forgot", email="ada@example.org")
        browser.fill(link_in(site.mails()[-1][2]), new_password=NEW_PASSWORD, again=NEW_PASSWORD)
    else:
        with site.registry["open_work"]() as work:
            set_role(work, BASE, "ada", Role.MODERATOR)
    assert refused(site, mine["token"]) == "token_unknown"
    assert refused(site, theirs["token"]) is None
    if way != "role":
        assert "personal access tokens" in site.mails()[-1][2]


def test_a_token_never_says_more_than_its_owner_may(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever changed the role: what counts is what the person may when the token is used."""
    site.user("ada", Role.MODERATOR)
    headers = [bearer(make(site, scopes=["admin:read", "read"])["token"]), signed_in(site)]
    asked: list[Any] = []
    permits = RuleBook.permits

    def noticing(book: RuleBook, identity: Any, context: Any, permission: str) -> Any:
        asked.append(identity)
        return permits(book, identity, context, permission)

    monkeypatch.setattr(RuleBook, "permits", noticing)

    def scopes() -> list[set[str]]:
        asked.clear()
        for header in headers:
            browser.get(PROFILE, headers=header)
        return [set(identity.scopes) for identity in asked]

    own = {"read", "write", "follow", "media"}
    assert scopes() == [{"read", "admin:read"}, own | {"admin:read", "admin:write"}]
    site.execute(update(User).values(role=Role.USER))
    assert scopes() == [{"read"}, own]
    assert [identity.personal for identity in asked] == [True, False]


def test_a_suspended_persons_tokens_do_not_count(site: Site) -> None:
    site.user("ada")
    made = make(site)
    site.execute(update(Account).values(suspended_at=clock.now()))
    assert refused(site, made["token"]) == "token_revoked"
    site.execute(update(Account).values(suspended_at=None))
    assert refused(site, made["token"]) is None


def test_there_are_fifty_at_most_also_for_two_at_once(site: Site, browser: Browser) -> None:
    person = site.user("ada")
    header = signed_in(site)
    rows = [
        {"id": new_id(), "user_id": person.account_id, "name": "x", "scopes": "read", "token_hash": bytes([n]) * 32}
        for n in range(MOST_TOKENS - 1)
    ]
    with site.registry["open_work"]() as work:
        work.session.execute(insert(PersonalToken), rows)
    answers: list[int] = []
    barrier = threading.Barrier(4)

    def one_more() -> None:
        barrier.wait()
        answers.append(site.browser().post_json(TOKENS, WANTED, headers=header, expect_errors=True).status_int)

    threads = [threading.Thread(target=one_more) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409, 409, 409]
    refusal = browser.post_json(TOKENS, WANTED, headers=header, status=409)
    assert code_of(refusal) == "too_many_tokens"
    browser.sign_in()
    page = browser.fill("/settings/tokens", name="x")
    assert page.status_int == 422
    assert "as many tokens as you may have" in page.html.select_one(".error-summary").get_text()
    assert len(page.html.select(".row")) == MOST_TOKENS
    assert site.execute(select(func.count()).select_from(PersonalToken)) == [(MOST_TOKENS,)]


def test_what_ends_the_sign_in_comes_before_what_it_makes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is asked for while the password changes is not made, or ends with the others."""
    site.user("ada")
    header = signed_in(site)
    lock = service_personal.lock_generation

    def slowly(work: Any, account_id: int) -> Any:
        # The request is past its authentication now.
        monkeypatch.setattr(service_personal, "lock_generation", lock)
        work.session.rollback()
        change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        site.browser().put_json("/api/user/password", change, headers=header, status=200)
        return lock(work, account_id)

    monkeypatch.setattr(service_personal, "lock_generation", slowly)
    answer = site.browser().post_json(TOKENS, WANTED, headers=header, expect_errors=True)
    assert denial(answer) == (403, "forbidden")
    assert site.execute(select(func.count()).select_from(PersonalToken)) == [(0,)]


def test_expired_tokens_stay_listed_for_a_month(site: Site, browser: Browser) -> None:
    site.user("ada")
    kept, old = make(site, name="kept"), make(site, name="old")
    for token, days in ((kept, 29), (old, 31)):
        ended = clock.now() - timedelta(days=days)
        site.execute(update(PersonalToken).where(PersonalToken.id == int(token["id"])).values(expires_at=ended))
    sweep_expired(site.registry, {})
    assert [token["name"] for token in browser.get(TOKENS, headers=signed_in(site)).json] == ["kept"]
    assert refused(site, kept["token"]) == "token_expired"
    assert refused(site, old["token"]) == "token_unknown"


# The page.


def test_a_person_makes_a_token_on_the_page(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    page = browser.get("/settings/tokens")
    assert page.headers["Cache-Control"] == "no-store"
    assert [box["value"] for box in page.html.select("[name=scopes]")] == ["read", "write", "follow", "media"]
    form = next(form for form in page.forms.values() if "days" in form.fields)
    assert [value for value, _chosen, _words in form["days"].options] == ["7", "30", "90", "365", "never"]
    form["name"], form["days"] = "Scale <b>&", "7"
    form.set("scopes", True, index=1)
    made = form.submit()
    # On the page itself and nowhere else: no redirect, no cookie, no address has it.
    assert (made.status_int, made.headers["Cache-Control"]) == (200, "no-store")
    assert "Set-Cookie" not in made.headers
    token = made.html.select_one("#token")["value"]
    assert made.text.count(token) == 1
    assert "Scale &lt;b&gt;&amp;" in made.text
    [row] = made.html.select(".row")
    text = " ".join(row.get_text(" ", strip=True).split())
    assert "Read · Write" in text
    assert "Never used" in text
    assert "Ends soon" in text
    assert refused(site, token) is None
    assert token not in browser.get("/settings/tokens").text
    # Revoked after one more question.
    ask = browser.get(row.select_one("a.button")["href"])
    assert "Scale &lt;b&gt;&amp;" in ask.text
    assert refused(site, token) is None
    done = next(form for form in ask.forms.values() if form.action.endswith("/revoke")).submit()
    assert (done.status_int, done.location) == (303, f"{BASE}/settings/tokens")
    assert "The token is revoked." in done.follow().text
    assert refused(site, token) == "token_unknown"
    assert browser.get(row.select_one("a.button")["href"], expect_errors=True).status_int == 404


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"scopes": "read", "days": "30"}, "name", "required"),
        ({"name": "x", "days": "30"}, "scopes", "required"),
        ({"name": "x", "scopes": "admin:read", "days": "30"}, "scopes", "do not have that scope"),
        ({"name": "x", "scopes": "read", "days": "31"}, "days", "Choose one of"),
        ({"name": "x" * 101, "scopes": "read", "days": "never"}, "name", "at most 100"),
    ],
)
def test_what_the_form_refuses(site: Site, browser: Browser, fields: dict[str, str], field: str, words: str) -> None:
    site.user("ada")
    browser.sign_in()
    csrf = browser.get("/settings/tokens").html.select_one("[name=csrf_token]")["value"]
    page = browser.post("/settings/tokens", fields | {"csrf_token": csrf}, expect_errors=True)
    assert page.status_int == 422
    assert words in page.html.select_one(f"#{field}-error").get_text()
    assert page.html.select_one(f'.error-summary a[href="#{field}"]') is not None
    assert site.execute(select(func.count()).select_from(PersonalToken)) == [(0,)]
    assert browser.post("/settings/tokens", fields, expect_errors=True).status_int == 403


def test_the_page_shows_ones_own_tokens_and_ends_them_all(site: Site, browser: Browser) -> None:
    site.user("ada", Role.ADMIN)
    site.user("eve")
    header = signed_in(site)
    make(site, header, name="first", scopes=["admin:write"])
    expired = make(site, header, name="second")
    theirs = make(site, signed_in(site, "eve"), name="theirs")
    ended = clock.now() - timedelta(days=2)
    site.execute(update(PersonalToken).where(PersonalToken.id == int(expired["id"])).values(expires_at=ended))
    browser.sign_in()
    rows = [row.get_text(" ", strip=True) for row in browser.get("/settings/tokens").html.select(".row")]
    assert [next(word for word in ("first", "second", "theirs") if word in row) for row in rows] == ["second", "first"]
    assert "Expired" in rows[0]
    assert "Moderation: act" in rows[1]
    assert 'href="/settings/tokens"' in browser.get("/settings/sessions").text
    for id in (theirs["id"], "1", "x"):
        assert browser.get(f"/settings/tokens/{id}/revoke", expect_errors=True).status_int == 404
    # Signing devices out is another thing.
    browser.fill("/settings/sessions", "/settings/sessions/end-others")
    assert site.execute(select(func.count()).select_from(PersonalToken)) == [(3,)]
    done = browser.fill("/settings/tokens/revoke-all")
    assert "All your tokens are revoked." in done.follow().text
    assert [name for (name,) in site.execute(select(PersonalToken.name))] == ["theirs"]
