"""Comments in the browser's way: the conversation below a meal, forms, redirects, and parts for htmx."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from webtest import TestApp, TestResponse

from mealshare.features.comments.queries import REPLIES, THREAD_PAGE, THREADS
from mealshare.features.comments.service import CommentService
from mealshare.features.social.models import Block, Mute

HTMX = {"HX-Request": "true"}


@pytest.fixture
def world(app: TestApp, registry: Any, make_user: Any, token: Any) -> Any:
    """A meal of Mei's, and ``world.say(person, words, answers)``, which gives the comment's id."""
    known = {name: make_user(name, display_name=name.title()) for name in ("mei", "ana", "bob")}
    headers = token(app, known["mei"])
    meal = app.post_json("/api/meals", {"food": "Dan dan noodles"}, headers=headers).json["id"]

    def say(who: str, note: str, answers: int | None = None) -> int:
        with registry["open_work"]() as work:
            service = CommentService(work, "http://localhost")
            return service.post(known[who].account_id, int(meal), note, in_reply_to=answers).id

    return SimpleNamespace(**known, meal=meal, path=f"/@mei/{meal}", say=say, headers=headers)


def form_of(page: TestResponse, answers: int | None = None, action: str | None = None) -> Any:
    """The form for a comment, or for the answer to one; or the form with that action."""
    for form in page.forms.values():
        if action is not None:
            found = form.action == action
        elif answers is not None:
            found = "in_reply_to_id" in form.fields and form["in_reply_to_id"].value == str(answers)
        else:
            found = "note" in form.fields and "in_reply_to_id" not in form.fields
        if found:
            return form
    return None


def words(page: TestResponse) -> list[Any]:
    """What the conversation says: each thread as a list, its top (None if it is gone) first."""
    threads = []
    for thread in page.html.select("#comments li.thread"):
        top = thread.find("article", recursive=False)
        notes = [article.select_one(".comment__note").text for article in thread.select(".thread__replies article")]
        threads.append([top and top.select_one(".comment__note").text, *notes])
    return threads


def of_comments(statements: list[str]) -> list[str]:
    """The statements that read comments."""
    return [statement for statement in statements if "posts AS meal" in statement]


def test_a_conversation(new_app, world, login):
    mei, ana, visitor = new_app(), new_app(), new_app()
    login(mei, world.mei)
    login(ana, world.ana)
    page = visitor.get(world.path)
    assert "Nobody has said anything yet" in page
    assert page.html.select_one(".comments__login a")["href"] == f"/login?next={world.path}%23comments"
    assert form_of(page) is None

    form = form_of(ana.get(world.path))
    form["note"] = "Hot? <script>alert(1)</script> @mei"
    answer = form.submit(status=303)
    first = int(answer.headers["Location"].rpartition("-")[2])
    assert answer.headers["Location"] == f"http://localhost{world.path}#comment-{first}"
    page = mei.get(world.path)
    assert "<script>alert" not in page.text
    assert page.html.select_one(f"#comment-{first} .comment__note a")["href"] == "http://localhost/@mei"

    form = form_of(page, first)
    assert form["note"].value == "@ana "
    form["note"] = "@ana Very!"
    second = int(form.submit(status=303).headers["Location"].rpartition("-")[2])
    page = ana.get(world.path)
    assert words(page) == [["Hot? <script>alert(1)</script> @mei", "@ana Very!"]]
    badges = page.html.select("#comments .badge")
    assert [(badge.text, badge.find_parent("article")["id"]) for badge in badges] == [("Author", f"comment-{second}")]
    # The answer to a reply joins the thread; one's own is answered without naming oneself.
    assert form_of(page, second)["note"].value == "@mei "
    assert form_of(page, first)["note"].value == ""
    form_of(page, second).submit(status=303)
    assert words(visitor.get(world.path))[0][1:] == ["@ana Very!", "@mei"]
    assert visitor.get("/").html.select_one(f"a#comments-of-{world.meal}")["href"] == f"{world.path}#comments"
    assert visitor.get("/").html.select_one(f"a#comments-of-{world.meal} span:last-child").text == "3"
    chinese = visitor.get(world.path, headers={"Accept-Language": "zh-CN"})
    assert chinese.html.find("html")["lang"] == "zh-Hans"
    assert form_of(visitor.get(world.path), first) is None


def test_nothing_typed_is_lost(app, world, login, registry):
    login(app, world.ana)
    first = world.say("bob", "first")
    form = form_of(app.get(world.path), first)
    form["note"] = "x" * 1001
    page = form.submit(status=422)
    assert "This may have at most 1000 characters." in page
    form = form_of(page, first)
    assert form["note"].value == "x" * 1001
    assert page.html.select_one(f"#comment-{first} details").has_attr("open")
    assert form_of(page)["note"].value == ""
    form["note"] = "short"
    assert words(form.submit().follow()) == [["first", "short"]]

    form = form_of(app.get(world.path))
    form["note"] = " "
    assert "This is required." in form.submit(status=422)
    # Closed while somebody was writing.
    form["note"] = "took me an hour"
    app.patch_json(f"/api/meals/{world.meal}", {"comments_closed": True}, headers=world.headers)
    page = form.submit(status=409)
    assert "The author of this meal wants no more comments." in page
    assert page.html.select_one("#comment-note").text.strip() == "took me an hour"
    assert page.html.select_one("#comment-submit") is None


def test_too_many(app, world, login, rate_limits):
    login(app, world.ana)
    for _ in range(60):
        rate_limits.hit("comment", f"account:{world.ana.account_id}")
    form = form_of(app.get(world.path))
    form["note"] = "one too many"
    page = form.submit(status=429)
    assert form_of(page)["note"].value == "one too many"
    assert "That was too often." in page


def test_htmx_gets_the_part_of_the_page(app, world, login):
    login(app, world.ana)
    form = form_of(app.get(world.path))
    form["note"] = "quick"
    part = form.submit(headers=HTMX, status=200)
    assert "<html" not in part.text
    assert part.html.select_one("#comments article .comment__note").text == "quick"
    # For the card above: the number in it.
    assert part.html.select_one(f"a#comments-of-{world.meal} span:last-child").text == "1"
    form["note"] = ""
    part = form.submit(headers=HTMX, status=422)
    assert part.html.select_one("section#comments #comment-note-error").text.strip() == "This is required."
    comment = part.html.select_one("article")["id"].removeprefix("comment-")
    page = app.get(world.path)
    part = form_of(page, action=f"/comments/{comment}/like").submit(headers=HTMX, status=200)
    assert part.html.select_one(f"form#like-{comment} button")["aria-pressed"] == "true"
    assert len(part.text) < 1000


def test_like(app, world, login):
    login(app, world.bob)
    comment = world.say("ana", "hm")
    form = form_of(app.get(world.path), action=f"/comments/{comment}/like")
    back = form.submit(status=303)
    assert back.headers["Location"] == f"http://localhost{world.path}#comment-{comment}"
    button = app.get(world.path).html.select_one(f"#yum-{comment}")
    assert (button["aria-pressed"], button.text) == ("true", "Like1")
    form_of(app.get(world.path), action=f"/comments/{comment}/like").submit(status=303)
    assert app.get(world.path).html.select_one(f"#yum-{comment}")["aria-pressed"] == "false"
    form["next"] = "//evil.example"
    assert form.submit(status=303).headers["Location"].startswith(f"http://localhost{world.path}?thread={comment}#")


def test_edit_and_delete(new_app, world, login):
    ana, bob, mei = new_app(), new_app(), new_app()
    for person, known in ((ana, world.ana), (bob, world.bob), (mei, world.mei)):
        login(person, known)
    top = world.say("ana", "thank you")
    reply = world.say("bob", "for what?", top)
    path = f"/@ana/{top}"
    page = ana.get(world.path)
    assert page.html.select_one(f'#comment-{top} a[href="{path}/edit"]')
    assert not bob.get(world.path).html.select(f'#comment-{top} a[href^="{path}/"]')
    for stranger in (bob, mei):
        stranger.get(f"{path}/edit", status=403)
    bob.get(f"{path}/delete", status=403)
    assert new_app().get(f"{path}/edit", status=303).headers["Location"].startswith("http://localhost/login?next=")
    ana.get(f"/@bob/{top}/edit", status=404)

    form = form_of(ana.get(f"{path}/edit"))
    assert form["note"].value == "thank you"
    form["note"] = ""
    assert "This is required." in form.submit(status=422)
    stale = form_of(ana.get(f"{path}/edit"))
    form["note"] = "thanks"
    page = form.submit(status=303).follow()
    assert words(page) == [["thanks", "for what?"]]
    assert "edited" in page.html.select_one(f"#comment-{top} .comment__when").text
    stale["note"] = "thx"
    page = stale.submit(status=422)
    assert "This comment was changed in the meantime." in page
    assert words(form_of(page).submit(status=303).follow()) == [["thx", "for what?"]]

    page = mei.get(f"{path}/delete")
    assert "Replies to it stay." in page
    page = form_of(page, action=f"{path}/delete").submit(status=303).follow()
    assert "The comment is deleted." in page
    assert words(page) == [[None, "for what?"]]
    assert "This comment is gone." in page
    ana.get(path, status=404)
    form_of(bob.get(f"/@bob/{reply}/delete"), action=f"/@bob/{reply}/delete").submit(status=303)
    page = bob.get(world.path)
    assert words(page) == []
    assert "gone" not in page.html.select_one("#comments").text


def test_the_author_closes_and_opens(new_app, world, login):
    mei, ana = new_app(), new_app()
    login(mei, world.mei)
    login(ana, world.ana)
    world.say("ana", "before")
    action = f"{world.path}/comments/close"
    assert form_of(ana.get(world.path), action=action) is None
    page = form_of(mei.get(world.path), action=action).submit(status=303).follow()
    assert words(page) == [["before"]]
    assert "The author has closed the comments." in page
    assert form_of(page) is None
    assert form_of(ana.get(world.path)) is None
    assert "Log in to comment" not in new_app().get(world.path)
    # The box of the meal says the same, and a button pressed twice does no harm.
    assert mei.get(f"{world.path}/edit").html.select_one("input[name=comments_closed]").has_attr("checked")
    part = form_of(page, action=action).submit(headers=HTMX)
    assert part.html.select_one("#comment-note")
    assert form_of(ana.get(world.path)) is not None
    token = form_of(ana.get(world.path))["csrf_token"].value
    ana.post(action, {"csrf_token": token}, status=403)


def test_what_one_may_not_see_looks_like_what_is_gone(new_app, world, login, registry):
    bob, mei = new_app(), new_app()
    login(bob, world.bob)
    login(mei, world.mei)
    hidden = world.say("ana", "of ana")
    world.say("mei", "of mei", hidden)
    world.say("bob", "before the quarrel", hidden)
    alone = world.say("ana", "alone")
    with registry["open_work"]() as work:
        work.session.add(Block(account_id=world.ana.account_id, target_id=world.bob.account_id))
        work.session.add(Mute(account_id=world.mei.account_id, target_id=world.bob.account_id))
    page = bob.get(world.path)
    assert words(page) == [[None, "of mei", "before the quarrel"]]
    assert "ana" not in page.html.select_one("#comments").text.lower()
    bob.get(f"/@ana/{hidden}", status=404)
    assert words(mei.get(world.path)) == [["of ana", "of mei"], ["alone"]]
    assert words(new_app().get(world.path)) == [["of ana", "of mei", "before the quarrel"], ["alone"]]
    assert words(bob.get(f"{world.path}?thread={alone}")) == []


def test_addresses_lead_to_the_comment(app, world):
    top = world.say("ana", "top")
    reply = world.say("bob", "reply", top)
    for path in (f"/@bob/{reply}", f"/users/bob/posts/{reply}", f"/@BOB/{reply}"):
        answer = app.get(path, status=303)
        assert answer.headers["Location"] == f"http://localhost{world.path}?thread={top}#comment-{reply}"
    assert answer.follow().html.select_one(f"#comment-{reply}")
    assert app.get(f"/@ana/{top}").headers["Location"].endswith(f"?thread={top}#comment-{top}")
    app.get(f"/@mei/{reply}", status=404)
    assert app.get(f"{world.path}/comments").headers["Location"] == f"http://localhost{world.path}#comments"
    for odd in ("thread=x", "thread=99", f"thread={world.meal}", f"thread={reply}", "comments_before=-1"):
        app.get(f"{world.path}?{odd}")


def test_pages_of_a_long_conversation(app, world, count_statements):
    first = world.say("ana", "thread 0")
    replies = [world.say("bob", f"reply {number}", first) for number in range(THREAD_PAGE + REPLIES)]
    page = app.get(world.path)
    assert words(page) == [["thread 0", *[f"reply {number}" for number in range(THREAD_PAGE, THREAD_PAGE + REPLIES)]]]
    everything = app.get(page.html.select_one(".thread__earlier a")["href"])
    assert [len(thread) for thread in words(everything)] == [1 + THREAD_PAGE]
    earlier = app.get(everything.html.select_one(".thread__earlier a")["href"])
    assert words(earlier) == [["thread 0", *[f"reply {number}" for number in range(REPLIES)]]]
    # An old one is found where its address leads.
    for reply in (replies[0], replies[REPLIES], replies[-1]):
        assert app.get(f"/@bob/{reply}").follow().html.select_one(f"#comment-{reply}")

    for number in range(1, THREADS + 3):
        world.say("ana", f"thread {number}")
    page = app.get(world.path)
    assert [thread[0] for thread in words(page)] == [f"thread {number}" for number in range(3, THREADS + 3)]
    link = page.html.select_one("#comments .pager a")["href"]
    with count_statements() as statements:
        page = app.get(link)
    assert [thread[0] for thread in words(page)] == ["thread 0", "thread 1", "thread 2"]
    assert page.html.select_one("#comments .pager") is None
    assert len(of_comments(statements)) == 1


@pytest.mark.parametrize("number", [1, 20, 100])
def test_one_statement_for_the_conversation(app, new_app, world, login, count_statements, number):
    for _ in range(number):
        top = world.say("ana", "hello")
    for _ in range(min(number, 20)):
        world.say("bob", "you", top)
    reader = new_app()
    login(reader, world.bob)
    # The meal, its comments and what else stands below it; and for the reader who that is.
    for who, most in ((app, 3), (reader, 4)):
        who.get(world.path)
        with count_statements() as statements:
            page = who.get(world.path)
        assert len(of_comments(statements)) == 1
        assert len(statements) <= most, statements
        assert sum(map(len, words(page))) == min(number, 20) + min(number, REPLIES)
