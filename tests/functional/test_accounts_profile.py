"""Profiles: the public one, one's own over JSON, and the settings page."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from mealshare.core import clock
from mealshare.core.db import record_statements
from mealshare.features.accounts.models import Account
from tests.features.accounts.site import BASE, Browser, Site, bearer

PROFILE = "/api/user/profile"


@pytest.fixture
def header(site: Site) -> dict[str, str]:
    """Ada's token."""
    site.user("ada", time_zone="Europe/Paris")
    return bearer(site.tokens()["access_token"])


def version_of(site: Site) -> int:
    """How often what cards show of the person has changed."""
    [(version,)] = site.execute(select(Account.version).where(Account.username == "ada"))
    return int(version)


def test_a_person_as_everybody_sees_them(site: Site, browser: Browser) -> None:
    site.user("Ada")
    browser.get("/api/users/ada")
    with record_statements() as statements:
        answer = browser.get("/api/users/aDA")
    assert len(statements) == 1
    person = answer.json
    assert person.pop("created_at").endswith("Z")
    assert person == {
        "username": "Ada", "display_name": "Ada", "bio": "", "bio_html": "", "avatar_url": None, "url": f"{BASE}/@Ada",
        "uri": f"{BASE}/users/Ada", "meals_count": 0, "locked": False, "followers_count": 0, "following_count": 0,
        "viewer": {
            "own": False, "following": False, "requested": False, "followed_by": False, "requested_by": False, "muting": False,
        },
    }  # fmt: skip
    assert browser.get("/api/users/ada", headers={"If-None-Match": answer.headers["ETag"]}).status_int == 304


@pytest.mark.parametrize("name", ["nobody", "a%00b", "%ff", "@@x", "..", "ada%2F", "a" * 200, "ad_", "%E5%B0%8F"])
def test_nobody_of_that_name(site: Site, browser: Browser, name: str) -> None:
    site.user("ada")
    answer = browser.get(f"/api/users/{name}", expect_errors=True)
    assert answer.status_int in (400, 404)
    assert answer.content_type == "application/problem+json"


def test_the_permanent_address_leads_to_the_page(site: Site, browser: Browser) -> None:
    site.user("Ada")
    response = browser.get("/users/ada")
    assert (response.status_int, response.location) == (303, f"{BASE}/@Ada")
    assert browser.get("/users/nobody", expect_errors=True).status_int == 404


def test_a_suspended_person_is_like_none(site: Site, browser: Browser) -> None:
    site.user("ada")
    site.execute(update(Account).values(suspended_at=clock.now()))
    hidden = browser.get("/api/users/ada", expect_errors=True)
    missing = browser.get("/api/users/eve", expect_errors=True)
    assert hidden.status_int == missing.status_int == 404
    differing = {"instance", "request_id"}
    assert {k: v for k, v in hidden.json.items() if k not in differing} == {
        k: v for k, v in missing.json.items() if k not in differing
    }


def test_the_avatar_has_an_address(site: Site, browser: Browser) -> None:
    site.user("ada")
    site.execute(update(Account).values(avatar_key="k3y"))
    assert browser.get("/api/users/ada").json["avatar_url"] == f"{BASE}/avatars/k3y.webp"


def test_only_oneself_sees_the_rest(site: Site, browser: Browser, header: dict[str, str]) -> None:
    own = browser.get(PROFILE, headers=header).json
    public = browser.get("/api/users/ada").json
    assert {name: own[name] for name in set(own) - set(public)} == {
        "email": "ada@example.org", "role": "user", "locale": None, "time_zone": "Europe/Paris",
    }  # fmt: skip
    assert browser.get(PROFILE, expect_errors=True).status_int == 401


def test_a_patch_changes_what_it_names(site: Site, browser: Browser, header: dict[str, str]) -> None:
    site.user("eve")
    given = {
        "display_name": "  Ada  🥟 ",
        "bio": "I like #麻辣 and @Eve.\n<script>alert(1)</script>",
        "locale": "zh_CN",
    }
    changed = browser.patch_json(PROFILE, given, headers=header).json
    assert (changed["display_name"], changed["locale"], changed["time_zone"]) == ("Ada 🥟", "zh_CN", "Europe/Paris")
    assert changed["bio"] == given["bio"]
    assert f'href="{BASE}/@eve"' in changed["bio_html"]
    assert f'href="{BASE}/tags/' in changed["bio_html"]
    assert "<script" not in changed["bio_html"]
    assert browser.get(PROFILE, headers=header).json == changed
    back = browser.patch_json(
        PROFILE, {"display_name": None, "bio": None, "locale": None, "time_zone": None}, headers=header
    )
    assert (back.json["display_name"], back.json["bio"], back.json["bio_html"]) == ("ada", "", "")
    assert (back.json["locale"], back.json["time_zone"]) == (None, "UTC")


def test_a_merge_patch_by_its_own_type(site: Site, browser: Browser, header: dict[str, str]) -> None:
    answer = browser.patch(PROFILE, b'{"bio": "x"}', headers=header, content_type="application/merge-patch+json")
    assert answer.json["bio"] == "x"


def test_the_version_counts_what_cards_show(site: Site, browser: Browser, header: dict[str, str]) -> None:
    assert version_of(site) == 1
    browser.patch_json(PROFILE, {"bio": "new", "time_zone": "UTC"}, headers=header)
    assert version_of(site) == 1
    browser.patch_json(PROFILE, {"display_name": "Ada L."}, headers=header)
    assert version_of(site) == 2
    browser.patch_json(PROFILE, {"display_name": "Ada L."}, headers=header)
    assert version_of(site) == 2


@pytest.mark.parametrize(
    ("given", "pointer", "code"),
    [
        ({"display_name": "x" * 51}, "#/display_name", "too_long"),
        ({"bio": "x" * 501}, "#/bio", "too_long"),
        ({"locale": "tlh"}, "#/locale", "not_a_choice"),
        ({"time_zone": "localtime"}, "#/time_zone", "bad_time_zone"),
        ({"role": "admin"}, "#/role", "unknown"),
        ({"email": "x@example.org"}, "#/email", "unknown"),
        ({"username": "eve"}, "#/username", "unknown"),
        ({"bio": 7}, "#/bio", "not_text"),
    ],
)
def test_what_a_patch_may_not(
    site: Site, browser: Browser, header: dict[str, str], given: dict[str, Any], pointer: str, code: str
) -> None:
    before = browser.get(PROFILE, headers=header).json
    answer = browser.patch_json(PROFILE, given, headers=header, expect_errors=True)
    assert answer.status_int == 422
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [(pointer, code)]
    assert browser.get(PROFILE, headers=header).json == before


def test_a_stale_client_overwrites_nothing(site: Site, browser: Browser, header: dict[str, str]) -> None:
    first = browser.get(PROFILE, headers=header).headers["ETag"]
    changed = browser.patch_json(PROFILE, {"bio": "one"}, headers=header | {"If-Match": first})
    assert changed.headers["ETag"] != first
    stale = browser.patch_json(PROFILE, {"bio": "two"}, headers=header | {"If-Match": first}, expect_errors=True)
    assert stale.status_int == 412
    assert browser.get(PROFILE, headers=header).json["bio"] == "one"
    browser.patch_json(PROFILE, {"bio": "three"}, headers=header | {"If-Match": changed.headers["ETag"]}, status=200)


def test_the_settings_page_saves_the_profile(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    response = browser.fill(
        "/settings/profile", display_name="艾达", bio="Eats first.", locale="zh_CN", time_zone="Asia/Shanghai"
    )
    assert (response.status_int, response.location) == (303, "http://localhost/settings/profile")
    page = response.follow()
    assert page.html.html["lang"] == "zh-Hans"
    form = next(form for form in page.forms.values() if form.action == "/settings/profile")
    shown = {name: form[name].value for name in ("display_name", "bio", "locale", "time_zone")}
    assert shown == {"display_name": "艾达", "bio": "Eats first.", "locale": "zh_CN", "time_zone": "Asia/Shanghai"}
    assert browser.fill("/settings/profile", display_name="", bio="", locale="").status_int == 303
    person = browser.get(PROFILE).json
    assert (person["display_name"], person["bio"], person["locale"]) == ("ada", "", None)


def test_the_settings_page_shows_what_is_wrong_and_keeps_what_was_typed(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    response = browser.fill("/settings/profile", display_name="x" * 60, bio="fine")
    assert response.status_int == 422
    assert response.html.select_one("#display_name")["value"] == "x" * 60
    assert response.html.select_one("#bio").get_text() == "fine"
    assert response.html.select_one("#display_name-error")
    assert browser.get(PROFILE).json["bio"] == ""
