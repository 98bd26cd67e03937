"""Following, blocking and muting in the browser's way, without a script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from mealshare.features.accounts.models import Account
from mealshare.features.social.models import Follow, Mute


@pytest.fixture
def browser(new_app, make_user, login) -> Callable[..., Any]:
    """``browser("mei")``: a browser in which somebody new is signed in."""

    def make(name: str) -> Any:
        app = new_app()
        user = make_user(name, display_name=f"The {name}")
        login(app, user)
        app.account_id = user.account_id
        return app

    return make


def press(page: Any, action: str, label: str | None = None) -> Any:
    """Send the form with that action, as a press of its button (the one with that name, if it has several)."""
    form = next(form for form in page.forms.values() if form.action == action)
    return form.submit(label, status=303).follow() if label else form.submit(status=303).follow()


def names(page: Any) -> list[str]:
    """Who is in the list of the page."""
    return [item.text.removeprefix("@") for item in page.html.select(".rows .byline__handle")]


def test_follow_unfollow_and_the_lists(browser):
    mei, bob = browser("mei"), browser("bob")
    page = press(mei.get("/@bob"), "/@bob/follow")
    assert page.request.path == "/@bob"
    button = page.html.find(id=f"follow-{bob.account_id}")
    assert "Unfollow" in button.text
    assert "1 follower" in page.html.find(class_="profile__facts").text
    assert "Follows you" in bob.get("/@mei")
    page = bob.get("/@bob/followers")
    assert names(page) == ["mei"]
    assert names(mei.get("/@mei/following")) == ["bob"]
    # One follows back in the list, and stays there.
    page = press(page, "/@mei/follow")
    assert (page.request.path, names(page)) == ("/@bob/followers", ["mei"])
    assert "follows 1" in page
    page = press(mei.get("/@bob"), "/@bob/follow")
    assert "Follow" in page.html.find(id=f"follow-{bob.account_id}").text
    assert names(bob.get("/@bob/followers")) == []


def test_a_visitor_is_asked_to_sign_in(app, make_user):
    make_user("bob")
    page = app.get("/@bob")
    assert not page.html.select(".relation details")
    form = next(form for form in page.forms.values() if form.action == "/@bob/follow")
    assert form.submit(status=303).headers["Location"].startswith("http://localhost/login")
    for path in (
        "/follow-requests",
        "/settings/privacy",
        "/settings/blocks",
        "/settings/mutes",
        "/@bob/block",
        "/@bob/mute",
    ):
        assert "/login" in app.get(path, status=303).headers["Location"]
    assert names(app.get("/@bob/followers")) == []


def test_lock_answer_and_remove(browser):
    mei, eve, bob = browser("mei"), browser("eve"), browser("bob")
    form = next(form for form in bob.get("/settings/privacy").forms.values() if form.action == "/settings/privacy")
    form["locked"] = True
    page = form.submit(status=303).follow()
    assert "Your account is locked" in page
    assert page.html.find("input", {"name": "locked"}).has_attr("checked")
    assert "Follow requests" not in bob.get("/").html.find(class_="menu__list").text
    for app in (mei, eve):
        assert "Ask to follow" in app.get("/@bob")
        assert "Requested" in press(app.get("/@bob"), "/@bob/follow")
    menu = bob.get("/").html.find(class_="menu__list").text
    assert "Follow requests" in menu
    assert "2" in menu
    page = bob.get("/follow-requests")
    assert names(page) == ["eve", "mei"]
    page = press(page, "/follow-requests/mei")
    assert (names(page), "@mei follows you now." in page) == (["eve"], True)
    # The other one on her own page.
    page = press(bob.get("/@eve"), "/follow-requests/eve", "reject")
    assert (page.request.path, "asks to follow" in page) == ("/@eve", False)
    assert names(bob.get("/@bob/followers")) == ["mei"]
    page = press(bob.get("/@mei"), "/@mei/remove-follower")
    assert "@mei does not follow you any more." in page
    assert names(bob.get("/@bob/followers")) == []
    form = next(form for form in bob.get("/settings/privacy").forms.values() if form.action == "/settings/privacy")
    form["locked"] = False
    assert "Your account is open" in form.submit(status=303).follow()


def test_block_and_take_it_back(browser):
    mei, bob = browser("mei"), browser("bob")
    press(mei.get("/@bob"), "/@bob/follow")
    page = bob.get("/@mei").click(href="/@mei/block")
    page = press(page, "/@mei/block")
    assert (page.request.path, names(page)) == ("/settings/blocks", ["mei"])
    for app, other in ((bob, "mei"), (mei, "bob")):
        for path in (f"/@{other}", f"/@{other}/followers", f"/@{other}/following", f"/@{other}/mute"):
            app.get(path, status=404)
    mei.get("/@bob/block", status=404)
    assert names(mei.get("/settings/blocks")) == []
    page = press(page, "/@mei/block")
    assert (names(page), "@mei is not blocked any more." in page) == ([], True)
    assert "Unfollow" not in mei.get("/@bob")


def test_mute_for_a_while(browser, work):
    mei, bob = browser("mei"), browser("bob")
    page = mei.get("/@bob").click(href="/@bob/mute")
    form = next(form for form in page.forms.values() if form.action == "/@bob/mute")
    assert form["duration"].value == ""
    form["duration"] = "86400"
    page = form.submit(status=303).follow()
    assert "@bob is muted." in page
    assert "Muted" in page.html.find(class_="relation").text
    assert "Muted" not in bob.get("/@mei").html.find(class_="relation").text
    with work() as unit:
        until, created = unit.session.execute(select(Mute.until, Mute.created_at)).one()
    assert abs((until - created).total_seconds() - 86400) < 5
    page = mei.get("/settings/mutes")
    assert names(page) == ["bob"]
    assert "until" in page.html.find(class_="row__sub").text
    page = press(page, "/@bob/mute")
    assert (page.request.path, names(page)) == ("/settings/mutes", [])
    form["duration"].force_value("-1")
    assert form.submit(status=422).html.find(id="duration-error")


def test_oneself(browser):
    mei = browser("mei")
    assert not mei.get("/@mei").html.select(".relation")
    csrf = mei.get("/settings/privacy").html.find("input", {"name": "csrf_token"})["value"]
    for what in ("follow", "block", "mute"):
        page = mei.post(f"/@mei/{what}", {"csrf_token": csrf}, status=409)
        assert "You cannot follow, block or mute yourself." in page
    mei.post("/@mei/follow", {}, status=403)


@pytest.mark.parametrize("number", [1, 20, 100])
def test_every_list_of_people_is_one_statement(browser, work, count_statements, number):
    mei = browser("mei")
    with work() as unit:
        unit.session.add_all(
            Account(
                username=f"p{item}",
                uri=f"http://localhost/users/p{item}",
                url=f"http://localhost/@p{item}",
                bio="words",
            )
            for item in range(number)
        )
        unit.session.flush()
        ids = unit.session.scalars(select(Account.id).where(Account.id != mei.account_id)).all()
        for id in ids:
            state = "requested" if id % 2 else "accepted"
            unit.session.add_all(
                (
                    Follow(account_id=id, target_id=mei.account_id, state=state),
                    Follow(account_id=mei.account_id, target_id=id, state="accepted"),
                )
            )
            unit.session.add(Mute(account_id=mei.account_id, target_id=id))
    # The session, the person and the list, and for the settings the first and the last.
    for path, most in (
        ("/@mei/followers", 3), ("/@mei/following", 3), ("/follow-requests", 2), ("/settings/mutes", 2),
        ("/settings/blocks", 2), ("/settings/privacy", 3), ("/@mei", 3), ("/api/users/mei/followers?limit=100", 3),
        ("/api/follow-requests?limit=100", 2), ("/api/mutes?limit=100", 2), ("/api/blocks", 2),
    ):  # fmt: skip
        with count_statements() as statements:
            mei.get(path)
        assert len(statements) <= most, (path, statements)
    if number == 100:
        shown = mei.get("/@mei/following")
        assert len(names(shown)) == 20
        older = shown.html.find("a", rel="next")["href"]
        assert not set(names(shown)) & set(names(mei.get(older)))
        waiting = sum(id % 2 for id in ids)
        assert str(min(waiting, 99)) in mei.get("/").html.find(class_="menu__list").text


def test_more_requests_than_are_counted(browser, work):
    mei = browser("mei")
    with work() as unit:
        unit.session.add_all(
            Account(username=f"p{item}", uri=f"http://localhost/users/p{item}", url=f"http://localhost/@p{item}")
            for item in range(120)
        )
        unit.session.flush()
        for id in unit.session.scalars(select(Account.id).where(Account.id != mei.account_id)).all():
            unit.session.add(Follow(account_id=id, target_id=mei.account_id, state="requested"))
        assert unit.session.scalar(select(func.count()).select_from(Follow)) == 120
    assert "99+" in mei.get("/").html.find(class_="menu__list").text
