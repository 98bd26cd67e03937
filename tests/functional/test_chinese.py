"""The whole site in simplified Chinese: no page and no problem document of it shows a word of English."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from pyramid.router import Router
from webtest import TestApp, Upload

from mealshare.features.meals.vocabulary import Allergen, Diet, MealType, Source, Visibility
from tests.functional.chinese import CHINESE, NAMES, Walker, english_in, visible_texts
from tests.functional.chinese_walks import PACKAGE, Street, all_walks, templates_shown
from tests.people import form_with

TAG = f"/tags/{quote('川菜')}"


@pytest.fixture
def visited() -> set[str]:
    """The names of the routes whose pages were looked at."""
    return set()


@pytest.fixture
def walker(wsgi_app: Router, registry: Any, visited: set[str]) -> Callable[[], Walker]:
    """Somebody else at each call."""
    return lambda: Walker(wsgi_app, visited)


@pytest.fixture
def people(make_user: Callable[..., SimpleNamespace]) -> SimpleNamespace:
    """Two people whose own words are Chinese."""
    return SimpleNamespace(
        mei=make_user("xiaomei", display_name="小美", time_zone="Asia/Shanghai"),
        wang=make_user("laowang", display_name="老王", time_zone="Asia/Shanghai"),
    )


def everything_about_a_meal() -> list[dict[str, Any]]:
    """Meals that show each word of the vocabularies at least once."""
    allergens, diets = list(Allergen), list(Diet)
    meal = {
        "food": "麻婆豆腐",
        "note": "有点太辣了 #川菜",
        "language": "zh",
        "tags": ["川菜"],
        "place": {"name": "家里"},
    }
    meals: list[dict[str, Any]] = [meal | {"meal_type": kind} for kind in MealType]
    meals += [meal | {"source": source} for source in Source]
    meals += [meal | {"visibility": visibility} for visibility in Visibility]
    meals.append(meal | {"diets": diets, "allergens": {"contains": allergens[:7], "free_from": allergens[7:]}})
    meals.append(meal | {"diets": diets, "allergens": {"contains": allergens[7:], "free_from": allergens[:7]}})
    meals.append(meal | {"spoiler_text": "慎入"})
    return meals


@pytest.fixture
def meals(app: TestApp, token: Callable[..., dict[str, str]], people: SimpleNamespace) -> list[str]:
    """The paths of Xiaomei's meals, oldest first."""
    headers = token(app, people.mei)
    answers = [app.post_json("/api/meals", meal, headers=headers, status=201) for meal in everything_about_a_meal()]
    return [answer.json["url"].removeprefix("http://localhost") for answer in answers]


def test_every_page_of_a_visitor(walker: Callable[[], Walker], visited: set[str], meals: list[str]) -> None:
    visitor = walker()
    for path in ["/", "/new", "/about", "/docs", "/login", "/register", "/password/forgot"]:
        visitor.get(path)
    for path in ["/?max_id=1", "/@xiaomei", "/@laowang", TAG]:
        visitor.get(path)
    for path, visibility in zip(meals[len(MealType) + len(Source) :], Visibility, strict=False):
        visitor.get(path, status=200 if visibility in ("public", "unlisted") else 404)
    for path in [*meals[: len(MealType) + len(Source)], *meals[-3:]]:
        visitor.get(path)
    assert {"front", "meal.new", "about", "docs", "login", "register", "password.forgot", "person", "meal"} <= visited


def test_the_site_while_nobody_has_eaten(walker: Callable[[], Walker], people: SimpleNamespace) -> None:
    visitor = walker()
    assert "还没人开饭" in visitor.get("/").text
    assert "盘子里还空空的" in visitor.get("/@laowang").text
    assert "还没有人吃过" in visitor.get("/explore")
    assert "没有合适的" in visitor.get("/random")


def test_every_page_of_somebody_signed_in_and_nothing_is_forgotten(
    walker: Callable[[], Walker], visited: set[str], people: SimpleNamespace, meals: list[str], registry: Any,
    make_user: Any, token: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    aqiang = make_user("aqiang", display_name="阿强", time_zone="Asia/Shanghai")
    zhangsan = make_user("zhangsan", display_name="张三", time_zone="Asia/Shanghai")
    with templates_shown(monkeypatch) as shown:
        street = Street.of(registry, walker, token, people.mei, people.wang, aqiang, zhangsan)
        mei, visitor = street["xiaomei"], street.visitor
        for path in ["/", "/new", "/@xiaomei", *meals, f"{meals[0]}/edit", f"{meals[-3]}/edit", f"{meals[0]}/delete"]:
            mei.get(path)
        for page in ["/profile", "/password", "/sessions"]:
            mei.get(f"/settings{page}")
        for path in ["/about", "/docs", "/login", "/register", "/password/forgot", TAG]:
            visitor.get(path)
        visitor.get("/problems/invalid", names=NAMES | {"invalid"})
        visitor.get("/password/reset?token=nothing", status=404)
        visited.add("password.reset")  # With a good link: test_the_letters_and_the_way_back_in.
        all_walks(street)
    pages = {
        view["route_name"]
        for template in registry.introspector.get_category("templates")
        if template["introspectable"]["name"].endswith(".pt")
        for view in template["related"]
        if view.get("route_name")
    }
    assert len(pages) > 30
    assert pages - visited == set()
    templates = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.pt")}
    assert templates - shown == set()


def test_what_the_site_says_after_something_was_done(
    walker: Callable[[], Walker], people: SimpleNamespace, picture: Callable[..., bytes], run_jobs: Any, registry: Any
) -> None:
    mei, phone = walker(), walker()
    mei.sign_in(people.mei)
    phone.sign_in(people.mei)
    photo = Upload("plate.jpg", picture(), "image/jpeg")
    page = mei.fill("/new", "food", food="粥", photo=photo, photo_alt="一碗粥", spoiler_text="慎入")
    assert "发布成功" in page
    path = page.request.path
    mei.get(f"{path}/edit")
    run_jobs(registry)
    mei.get(path)
    assert "已编辑" in mei.fill(f"{path}/edit", "food", food="皮蛋粥")
    mei.get("/")
    stale = form_with(mei.app.get(f"{path}/edit"), "food")
    mei.fill(f"{path}/edit", "food", food="白粥")
    stale["food"] = "黑粥"
    assert "再次保存" in mei.look(stale.submit(status=422))
    delete = next(form for form in mei.get(f"{path}/delete").forms.values() if form.action.endswith("/delete"))
    assert "已删除" in mei.look(delete.submit())
    assert "已保存" in mei.fill("/settings/profile", "display_name", display_name="大美")
    assert "新头像" in mei.fill("/settings/profile", "avatar", avatar=Upload("me.png", picture("png"), "image/png"))
    assert "无法读取" in mei.fill(
        "/settings/profile", "avatar", avatar=Upload("me.png", picture("png")[:90], "image/png")
    )
    assert "当前设备" in mei.get("/settings/sessions")
    changed = {"current_password": people.mei.password, "new_password": "plum cobbler on a tuesday"}
    mei.fill("/settings/password", "again", **changed, again="plum cobbler on a tuesday")
    assert "登录" in phone.get("/login")


def test_a_visitor_posts_first_and_registers_then(walker: Callable[[], Walker]) -> None:
    visitor = walker()
    assert "留好" in visitor.fill("/", "food", food="粥")
    known = {"username": "xiaomei", "email": "mei@example.org", "password": "plum cobbler on a tuesday"}
    assert "欢迎" in visitor.fill("/register", "password", **known)


def test_the_letters_and_the_way_back_in(
    walker: Callable[[], Walker], make_user: Any, run_jobs: Any, registry: Any, site_folder: Path
) -> None:
    mei = make_user("xiaomei", email="mei@example.org", locale="zh_CN", display_name="小美")
    visitor = walker()
    visitor.fill("/password/forgot", "email", email=mei.email)
    run_jobs(registry)
    [reset] = letters(site_folder)
    link = re.search(r"http://localhost(/password/reset\S+)", reset)
    assert link
    visitor.get(link[1])
    assert "不一致" in visitor.fill(link[1], "again", new_password="plum cobbler on a tuesday", again="other")
    good = "plum cobbler on a tuesday"
    assert "请用新密码登录" in visitor.fill(link[1], "again", new_password=good, again=good)
    visitor.fill("/register", "password", username="another", email=mei.email, password="apple pie on a monday")
    run_jobs(registry)
    sent = letters(site_folder)
    assert len(sent) == 3
    for letter in sent:
        assert english_in([re.sub(r"http://\S+", "", letter)]) == []


def letters(site_folder: Path) -> list[str]:
    """The subject and the text of every mail."""
    files = sorted((site_folder / "mail").glob("*.eml"))
    mails = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
    return [f"{mail['Subject']} {' '.join(mail.get_content().split())}" for mail in mails]


@pytest.mark.parametrize(
    ("path", "field", "values"),
    [
        ("/login", "password", {}),
        ("/login", "password", {"login": "xiaomei", "password": "wrong"}),
        ("/register", "password", {}),
        ("/register", "password", {"username": "x", "email": "x", "password": "x"}),
        ("/register", "password", {"username": "xiaomei", "email": "x@example.org", "password": "password123456"}),
        ("/register", "password", {"username": "1__2", "email": "a@b", "password": "a" * 300}),
        ("/register", "password", {"username": "小美", "email": "x" * 300, "password": "小" * 12}),
        ("/register", "password", {"username": "admin", "email": "x@example.org", "password": "x@example.org"}),
        ("/password/forgot", "email", {}),
        ("/password/forgot", "email", {"email": "nonsense"}),
        ("/password/forgot", "email", {"email": "x@example.org"}),
        ("/settings/profile", "display_name", {"display_name": "美" * 200, "bio": "好" * 600}),
        ("/settings/password", "again", {}),
        ("/settings/password", "again", {"current_password": "no", "new_password": "short", "again": "other"}),
        ("/settings/tokens", "days", {"name": "秤" * 101}),
        ("/new", "food", {}),
        ("/new", "food", {"food": "粥" * 200, "recipe_url": "nonsense", "tags": "123", "spoiler_text": "x" * 600}),
        ("/new", "food", {"food": "粥", "eaten_at": "nonsense", "tags": "a" * 60}),
        ("/new", "food", {"food": "粥", "eaten_at": "2999-01-01T12:00", "tags": "-!-"}),
        ("/new", "food", {"food": "粥", "photo": Upload("x.jpg", b"no picture", "image/jpeg")}),
        ("/new", "food", {"food": "粥", "photo": Upload("x.jpg", b"\xff\xd8\xff\xe0", "image/jpeg")}),
    ],
)
def test_what_forms_say_when_they_refuse(
    walker: Callable[[], Walker], people: SimpleNamespace, path: str, field: str, values: dict[str, Any]
) -> None:
    mei = walker()
    if path.startswith(("/settings", "/new")):
        mei.sign_in(people.mei)
    page = mei.fill(path, field, **values)
    assert page.status_int == (200 if values == {"email": "x@example.org"} else 422)


def test_the_error_pages(
    walker: Callable[[], Walker], people: SimpleNamespace, meals: list[str], registry: Any
) -> None:
    wang = walker()
    wang.sign_in(people.wang)
    wang.get("/nowhere", status=404)
    wang.get(f"{meals[0]}/edit", status=403)
    wang.get(f"{meals[0]}/delete", status=403)
    wang.look(wang.app.post("/login", {}, status=403))
    wang.look(wang.app.delete("/about", expect_errors=True))
    wang.look(wang.app.get("/settings/profile", headers={"Authorization": "Bearer nonsense"}, expect_errors=True))
    for code in registry["messages"]:
        wang.get(f"/problems/{code}", names=NAMES | {code})


def problems_of_the_api(headers: dict[str, str], meal: str) -> Iterator[tuple[str, str, Any, dict[str, str]]]:
    """Requests that the API refuses: method, path, JSON or bytes, headers."""
    wrong_meal = {
        "food": 7, "note": "x" * 3000, "meal_type": "tea", "eaten_at": "yesterday", "time_zone": "Mars", "sensitive": 1,
        "tags": ["a"] * 30, "diets": "vegan", "allergens": [], "place": {"name": "", "latitude": 100, "colour": "red"},
        "media": [{"id": 5}], "recipe_url": "ftp://x", "visibility": "private",
    }  # fmt: skip
    bodies: list[Any] = [
        wrong_meal,
        {},
        [],
        {"food": "\x00"},
        {"food": "粥", "place": {"name": "家", "country_code": "123"}},
    ]
    for body in bodies:
        yield "POST", "/api/meals", body, headers
    both = {"contains": ["milk"], "free_from": ["milk"]}
    yield "POST", "/api/meals", {"food": "粥", "allergens": both, "place": {"name": "家", "latitude": 1}}, headers
    long_ago = {"food": "粥", "tags": ["123", "a" * 80, "-"], "eaten_at": "1800-01-01T00:00:00Z"}
    yield "POST", "/api/meals", long_ago, headers
    yield "POST", "/api/meals", b"{", headers
    yield "POST", "/api/meals", b'{"food": "\xff"}', headers
    yield "POST", "/api/meals", b"food=rice", headers | {"Content-Type": "text/plain"}
    yield "POST", "/api/meals", b" " * 3_000_000, headers
    yield "POST", "/api/meals", {"food": "粥"}, {}
    yield "POST", "/api/meals", {"food": "粥"}, {"Authorization": "Bearer nonsense"}
    yield "POST", "/api/users/laowang/meals", {"food": "粥"}, headers
    yield "POST", "/api/users", {"username": "x", "email": "x", "password": "x"}, {}
    yield "POST", "/api/users", {}, {}
    yield "POST", "/api/login", {"username": "xiaomei", "password": "wrong"}, {}
    yield "POST", "/api/login", {"username": "a", "email": "a@example.org", "password": "b"}, {}
    yield "POST", "/api/token/refresh", {"refresh_token": "nonsense"}, {}
    yield "PATCH", "/api/user/profile", {"display_name": "x" * 200, "locale": "fr", "time_zone": "Mars"}, headers
    yield "PUT", f"/api/meals/{meal}", {"food": "粥"}, headers | {"If-Match": '"old"'}
    yield "POST", "/api/media", b"", headers
    odd = {"id": "a", "method": "GET", "path": "//x", "headers": {"Host": "x"}}
    yield "POST", "/api/batch", {"requests": [odd]}, headers
    yield "GET", "/api/feed/stream?last_event_id=x&feed=tea", None, {}
    yield "PUT", "/api/meals", {}, headers
    yield "DELETE", f"/api/meals/{meal}", None, {}
    for path in ("/api/nowhere", "/api/meals/1", "/api/meals/x", "/api/meals?colour=red", "/api/users/nobody"):
        yield "GET", path, None, {}
    yield "GET", "/api/meals?limit=900&max_id=x&meal_type=tea&from=yesterday", None, {}
    yield "GET", "/api/user/profile", None, {}
    yield "GET", "/api/meals", None, {"Accept": "image/png"}


def test_the_problems_of_the_api(
    wsgi_app: Router, people: SimpleNamespace, meals: list[str], token: Callable[..., dict[str, str]]
) -> None:
    app = TestApp(wsgi_app, extra_environ=CHINESE)
    codes = set()
    for method, path, body, headers in problems_of_the_api(token(app, people.mei), meals[0].rpartition("/")[2]):
        if isinstance(body, bytes):
            headers = {"Content-Type": "application/json"} | headers
            answer = app.request(path, method=method, body=body, headers=headers, expect_errors=True)
        elif body is None:
            answer = app.request(path, method=method, headers=headers, expect_errors=True)
        else:
            answer = getattr(app, f"{method.lower()}_json")(path, body, headers=headers, expect_errors=True)
        if answer.status_int < 400:
            assert headers == {"Accept": "image/png"}, (method, path, answer.status)
            continue
        assert answer.content_type == "application/problem+json"
        assert answer.headers["Content-Language"] == "zh-Hans"
        problem = answer.json
        codes |= {problem["type"].rpartition("/")[2], *(error["code"] for error in problem.get("errors", []))}
        details = [error["detail"] for error in problem.get("errors", [])]
        words = [problem["title"], *details, *([] if details else [problem["detail"]])]
        # A choice is named by the value that has to be sent.
        words = [word for word in words if not word.startswith("请从以下选项中选择")]
        assert english_in(words) == [], (method, path)
        assert all(re.search("[\u4e00-\u9fff]", word) for word in words), (method, path)
        # The detail as a whole is put together from the fields' names and those words.
        assert all(detail in problem["detail"] for detail in details[:3])
    assert len(codes) > 35


def test_the_guard_itself_sees_english() -> None:
    assert english_in(["What are people eating?"]) == ["What are people eating?"]
    assert english_in(["5 MB each.", "At most 4 photos, each up to 5 MB."])[-1].startswith("At most")
    assert english_in(["大家在吃什么？", "MealShare · 关于", "@xiaomei"]) == []
    page = '<p lang="en">Soup</p><a title="Log in">登录</a><b>Yum!</b><script>let a = "Edit"</script><!-- Delete -->'
    assert english_in(visible_texts(f"<body>{page}</body>")) == ["Log in", "Yum!"]
