"""Programs: logging in over JSON, refreshing, logging out, and what a token is worth afterwards."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from mealshare.core import clock
from mealshare.core.db import record_statements
from mealshare.core.security.identity import Role
from mealshare.core.security.jwt import AccessClaims
from mealshare.core.security.tokens import hash_token
from mealshare.features.accounts.models import Account, Grant, RefreshToken, Session, User
from mealshare.features.accounts.service import set_role
from tests.features.accounts.site import BASE, NEW_PASSWORD, PROFILE, Browser, Site, bearer, code_of, refresh, refused
from tests.people import PASSWORD


@pytest.mark.parametrize("name", [{"username": "ada"}, {"email": "ADA@example.org"}, {"username": "ada@example.org"}])
def test_a_program_logs_in_by_either_name(site: Site, browser: Browser, name: dict[str, str]) -> None:
    site.user("ada")
    answer = browser.post_json("/api/login", {**name, "password": PASSWORD})
    tokens = answer.json
    assert answer.headers["Cache-Control"] == "no-store"
    assert not browser.cookies
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 900)
    assert tokens["scope"] == "read write follow media"
    assert tokens["user"] == {"username": "ada", "display_name": "ada", "avatar_url": None, "url": f"{BASE}/@ada"}
    assert browser.get(PROFILE, headers=bearer(tokens["access_token"])).json["email"] == "ada@example.org"
    [(row,)] = site.execute(select(RefreshToken))
    assert row.token_hash == hash_token(tokens["refresh_token"])


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"username": "ada", "password": NEW_PASSWORD}, 401, "bad_credentials"),
        ({"username": "nobody", "password": PASSWORD}, 401, "bad_credentials"),
        ({"email": "nobody@example.org", "password": PASSWORD}, 401, "bad_credentials"),
        ({"username": "ada", "password": "x" * 5000}, 401, "bad_credentials"),
        ({"password": PASSWORD}, 422, "invalid"),
        ({"username": "ada", "email": "ada@example.org", "password": PASSWORD}, 422, "invalid"),
        ({"username": "ada", "password": PASSWORD, "scope": "admin:write"}, 422, "invalid"),
        ({"username": "ada", "password": 12}, 422, "invalid"),
    ],
)
def test_what_is_no_login(site: Site, browser: Browser, given: dict[str, Any], status: int, code: str) -> None:
    site.user("ada")
    answer = browser.post_json("/api/login", given, expect_errors=True)
    assert (answer.status_int, code_of(answer)) == (status, code)
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json["detail"] == "The name or the password is wrong."
    assert site.execute(select(func.count()).select_from(Grant)) == [(0,)]


def test_a_moderator_gets_the_scopes_of_one(site: Site) -> None:
    site.user("ada", Role.MODERATOR)
    assert site.tokens()["scope"].split() == ["read", "write", "follow", "media", "admin:read", "admin:write"]


def test_a_bearer_costs_one_statement(site: Site, browser: Browser) -> None:
    site.user("ada")
    header = bearer(site.tokens()["access_token"])
    browser.get("/api/users/ada", headers=header)
    with record_statements() as statements:
        browser.get("/api/users/ada", headers=header)
    assert len(statements) == 2
    assert len([one for one in statements if "FROM grants" in one]) == 1


def test_a_token_beside_a_cookie_is_all_that_counts(site: Site, browser: Browser) -> None:
    site.user("ada")
    site.user("eve")
    browser.sign_in("eve")
    header = bearer(site.tokens()["access_token"])
    assert browser.get(PROFILE, headers=header).json["username"] == "ada"
    assert browser.get(PROFILE, headers=bearer("rubbish"), expect_errors=True).status_int == 401
    assert browser.get(PROFILE).json["username"] == "eve"


def test_refreshing_gives_a_new_pair_and_keeps_the_grant(site: Site) -> None:
    site.user("ada")
    first = site.tokens()
    answer = refresh(site, first["refresh_token"])
    assert answer.status_int == 200
    assert answer.headers["Cache-Control"] == "no-store"
    second = answer.json
    assert set(second) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert second["refresh_token"] != first["refresh_token"]
    assert refused(site, second["access_token"]) is None
    assert refresh(site, second["refresh_token"]).status_int == 200
    assert site.execute(select(func.count()).select_from(Grant)) == [(1,)]


def test_a_second_use_ends_the_whole_grant(site: Site) -> None:
    site.user("ada")
    first = site.tokens()
    other = site.tokens()
    second = refresh(site, first["refresh_token"]).json
    again = refresh(site, first["refresh_token"])
    assert (again.status_int, code_of(again)) == (401, "refresh_token_reused")
    assert refused(site, first["access_token"]) == "token_revoked"
    assert refused(site, second["access_token"]) == "token_revoked"
    assert code_of(refresh(site, second["refresh_token"])) == "refresh_token_invalid"
    # Another sign-in of the same person is another family.
    assert refused(site, other["access_token"]) is None
    assert refresh(site, other["refresh_token"]).status_int == 200


def test_of_many_uses_at_once_one_wins(site: Site) -> None:
    site.user("ada")
    token = site.tokens()["refresh_token"]
    answers: list[Any] = []
    barrier = threading.Barrier(8)

    def use() -> None:
        barrier.wait()
        answers.append(refresh(site, token))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_int for answer in answers) == [200, *[401] * 7]
    assert {code_of(answer) for answer in answers if answer.status_int == 401} == {"refresh_token_reused"}
    [winner] = [answer for answer in answers if answer.status_int == 200]
    assert refused(site, winner.json["access_token"]) == "token_revoked"


def test_neither_token_is_taken_for_the_other(site: Site) -> None:
    site.user("ada")
    tokens = site.tokens()
    assert code_of(refresh(site, tokens["access_token"])) == "refresh_token_invalid"
    assert refused(site, tokens["refresh_token"]) == "token_malformed"
    assert refused(site, tokens["access_token"]) is None


@pytest.mark.parametrize(
    ("idle", "age", "code"),
    [
        (timedelta(days=13, hours=23), timedelta(), None),
        (timedelta(days=14, minutes=1), timedelta(), "refresh_token_expired"),
        (timedelta(), timedelta(days=90, minutes=1), "refresh_token_expired"),
    ],
)
def test_refresh_tokens_expire(site: Site, idle: timedelta, age: timedelta, code: str | None) -> None:
    site.user("ada")
    token = site.tokens()["refresh_token"]
    [(expires_at, grant_expires_at)] = site.execute(
        select(RefreshToken.expires_at, Grant.expires_at).join(Grant, Grant.id == RefreshToken.grant_id)
    )
    site.execute(update(RefreshToken).values(expires_at=expires_at - idle))
    site.execute(update(Grant).values(expires_at=grant_expires_at - age))
    answer = refresh(site, token)
    assert (answer.status_int, None if code is None else code_of(answer)) == (401 if code else 200, code)


def test_a_grant_is_never_longer_than_ninety_days(site: Site) -> None:
    site.user("ada")
    token = site.tokens()["refresh_token"]
    end = clock.now() + timedelta(days=3)
    site.execute(update(Grant).values(expires_at=end))
    assert refresh(site, token).status_int == 200
    [(latest,)] = site.execute(select(RefreshToken.expires_at).where(RefreshToken.used_at.is_(None)))
    assert latest == end


def test_logging_out_ends_both_tokens_at_once(site: Site, browser: Browser) -> None:
    site.user("ada")
    tokens, other = site.tokens(), site.tokens()
    answer = browser.post("/api/logout", headers=bearer(tokens["access_token"]))
    assert (answer.status_int, answer.body) == (204, b"")
    assert refused(site, tokens["access_token"]) == "token_revoked"
    assert code_of(refresh(site, tokens["refresh_token"])) == "refresh_token_invalid"
    assert refused(site, other["access_token"]) is None
    assert code_of(browser.post("/api/logout", expect_errors=True)) == "login_required"


def test_logging_out_over_json_with_a_cookie_ends_the_session(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    token = browser.get("/settings/password").html.select_one("[name=csrf_token]")["value"]
    assert code_of(browser.post("/api/logout", expect_errors=True)) == "csrf"
    answer = browser.post("/api/logout", headers={"X-CSRF-Token": token})
    assert answer.status_int == 204
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert site.execute(select(func.count()).select_from(Session)) == [(0,)]


def test_a_suspended_person_is_out_at_once(site: Site, browser: Browser) -> None:
    site.user("ada")
    tokens = site.tokens()
    site.execute(update(Account).values(suspended_at=clock.now()))
    assert refused(site, tokens["access_token"]) == "token_revoked"
    assert code_of(refresh(site, tokens["refresh_token"])) == "refresh_token_invalid"
    assert browser.get("/api/users/ada", expect_errors=True).status_int == 404
    login = browser.post_json("/api/login", {"username": "ada", "password": PASSWORD}, expect_errors=True)
    assert (login.status_int, code_of(login)) == (403, "account_suspended")


def test_a_new_role_ends_what_was_signed_in_with_the_old_one(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    tokens = site.tokens()
    with site.registry["open_work"]() as work:
        set_role(work, BASE, "ADA", Role.ADMIN)
    assert refused(site, tokens["access_token"]) == "token_revoked"
    assert not browser.is_signed_in()
    assert site.execute(select(User.generation)) == [(2,)]
    header = bearer(site.tokens()["access_token"])
    assert browser.get(PROFILE, headers=header).json["role"] == "admin"


def test_a_claim_of_a_role_is_not_believed(site: Site, browser: Browser) -> None:
    """Even one that is signed rightly: what counts is the row."""
    person = site.user("ada")
    site.tokens()
    [(grant_id,)] = site.execute(select(Grant.id))
    claims = AccessClaims(str(person.account_id), "root", "admin", "admin:write", str(grant_id), 1)
    token = site.registry["access_tokens"].issue(claims)
    answer = browser.get(PROFILE, headers=bearer(token)).json
    assert (answer["username"], answer["role"]) == ("ada", "user")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"generation": 2}, "token_revoked"),
        ({"generation": 0}, "token_revoked"),
        ({"grant_id": "1"}, "token_revoked"),
        ({"grant_id": "9" * 40}, "token_claim_invalid"),
        ({"grant_id": "１２"}, "token_claim_invalid"),
        ({"subject": "1"}, "token_revoked"),
        ({"subject": "ada"}, "token_claim_invalid"),
    ],
)
def test_a_token_must_agree_with_its_grant(site: Site, change: dict[str, Any], code: str) -> None:
    person = site.user("ada")
    site.tokens()
    [(grant_id,)] = site.execute(select(Grant.id))
    known: dict[str, Any] = {
        "subject": str(person.account_id), "username": "ada", "role": "user", "scope": "read",
        "grant_id": str(grant_id), "generation": 1,
    }  # fmt: skip
    access = site.registry["access_tokens"]
    assert refused(site, access.issue(AccessClaims(**known))) is None
    assert refused(site, access.issue(AccessClaims(**known | change))) == code


def test_a_token_without_the_scope_may_not(site: Site, browser: Browser) -> None:
    site.user("ada")
    header = bearer(site.tokens()["access_token"])
    site.execute(update(Grant).values(scopes="read"))
    assert browser.get(PROFILE, headers=header).status_int == 200
    answer = browser.patch_json(PROFILE, {"bio": "x"}, headers=header, expect_errors=True)
    assert (answer.status_int, code_of(answer)) == (403, "scope_missing")
    site.execute(update(Grant).values(scopes=""))
    assert browser.get(PROFILE, headers=header, expect_errors=True).status_int == 403


def test_the_public_keys_may_be_kept_for_a_while(site: Site, browser: Browser) -> None:
    answer = browser.get("/.well-known/jwks.json")
    assert answer.json == {"keys": []}
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert browser.get("/.well-known/jwks.json", headers={"If-None-Match": answer.headers["ETag"]}).status_int == 304
    wrong = browser.post("/.well-known/jwks.json", expect_errors=True)
    assert (wrong.status_int, wrong.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_the_generation_of_a_new_account_is_that_of_its_tokens(site: Site, browser: Browser) -> None:
    browser.post_json("/api/users", {"username": "ada", "email": "ada@example.org", "password": PASSWORD})
    assert refused(site, site.tokens()["access_token"]) is None
    assert site.execute(select(User.generation)) == [(1,)]
