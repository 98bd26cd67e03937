"""Ways through the site among people, for readers of Chinese: each page with something on it, and with nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from chameleon.zpt.template import Macros, PageTemplate
from sqlalchemy import insert, update
from webtest import Upload

import mealshare
from mealshare.core.clock import now
from mealshare.core.jobs import run_due
from mealshare.features.accounts.models import Account, PersonalToken
from mealshare.features.comments.factory import make_comment_service
from mealshare.features.comments.queries import THREAD_PAGE, THREADS
from mealshare.features.discover.vocabulary import DrawSource
from mealshare.features.meals.models import Meal, Post
from mealshare.features.notifications.models import Notification
from mealshare.features.notifications.queries import MOST_UNREAD, WINDOW_ROWS
from mealshare.features.reactions.html import FEW
from mealshare.features.social.models import Follow, FollowState, Mute
from tests.functional.chinese import NAMES, Walker
from tests.people import draw, form_with

PACKAGE = Path(mealshare.__file__).parent
#: More than a page of a list holds.
MANY = 25
#: The first of the ids of people elsewhere.
FAR = 1_000_000
MEAL = {"food": "麻婆豆腐", "language": "zh"}


@contextmanager
def templates_shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Collects the names of all templates of which something is shown meanwhile, parts and macros included."""
    shown: set[str] = set()

    def noticed(original: Any) -> Any:
        def call(template: Any, *args: Any, **values: Any) -> Any:
            file = template.template if isinstance(template, Macros) else template
            # "package:templates/x.pt" is kept as the package and the rest.
            folder = Path(import_module(file.package_name or "mealshare").__file__ or "").parent
            shown.add(str((folder / file.filename).relative_to(PACKAGE)))
            return original(template, *args, **values)

        return call

    with monkeypatch.context() as patch:
        for kind, name in ((PageTemplate, "render"), (PageTemplate, "include"), (Macros, "__getitem__")):
            patch.setattr(kind, name, noticed(getattr(kind, name)))
        yield shown


@dataclass(frozen=True)
class Street:
    """Some readers of Chinese who know each other, a passer-by, and what they do over the API meanwhile."""

    registry: Any
    visitor: Walker
    #: The readers, by username.
    readers: dict[str, Walker]
    people: dict[str, SimpleNamespace]
    headers: dict[str, dict[str, str]]

    def __getitem__(self, name: str) -> Walker:
        return self.readers[name]

    @classmethod
    def of(cls, registry: Any, walker: Callable[[], Walker], token: Any, *people: SimpleNamespace) -> Street:
        """Everybody signed in."""
        street = cls(registry, walker(), {}, {}, {})
        for person in people:
            reader = walker()
            reader.sign_in(person)
            street.readers[person.username] = reader
            street.people[person.username] = person
            street.headers[person.username] = token(reader.app, person)
        return street

    def does(self, who: str, method: str, path: str, body: Any = None) -> Any:
        """A request of somebody's program; gives the JSON of the answer."""
        app, headers = self.visitor.app, self.headers[who]
        send = getattr(app, f"{method.lower()}_json") if body is not None else getattr(app, method.lower())
        answer = send(f"/api{path}", *([] if body is None else [body]), headers=headers)
        return answer.json if answer.body else None

    def eats(self, who: str, food: str = "麻婆豆腐", **more: Any) -> str:
        """The path of a new meal."""
        meal = self.does(who, "POST", "/meals", MEAL | {"food": food} | more)
        return f"/@{who}/{meal['id']}"

    def eats_too(self, who: str, meal: str) -> str:
        """The path of a new meal after another one."""
        return f"/@{who}/{self.does(who, 'POST', f'/meals/{id_of(meal)}/ate-too', {})['id']}"

    def says(self, who: str, meal: str, note: str, answers: int | None = None) -> int:
        """The id of a new comment."""
        with self.registry["open_work"]() as work:
            service = make_comment_service(work, self.registry)
            return int(service.post(self.people[who].account_id, int(id_of(meal)), note, in_reply_to=answers).id)

    def write(self, statement: Any, rows: Any = None) -> None:
        """Change rows."""
        with self.registry["engine"].begin() as connection:
            connection.execute(statement, rows)

    def strangers(self, number: int, first: int = FAR) -> list[int]:
        """The ids of new people elsewhere."""
        ids = list(range(first, first + number))
        self.write(insert(Account), [
            {"id": id, "username": f"p{id}", "uri": f"u{id}", "url": f"http://localhost/@p{id}"} for id in ids
        ])  # fmt: skip
        return ids

    def all_get(self, *paths: str) -> None:
        """Xiaomei, Laowang and the passer-by look at each page."""
        for reader in (self["xiaomei"], self["laowang"], self.visitor):
            for path in paths:
                reader.get(path)


def id_of(path: str) -> str:
    """The id at the end of the path of a meal."""
    return path.rpartition("/")[2]


def all_walks(street: Street) -> None:
    """Every way there is."""
    at_home(street)
    following(street)
    who_may_see_what(street)
    muting_and_blocking(street)
    what_one_avoids(street)
    what_others_eat(street)
    talking(street)
    being_told(street)
    what_was_eaten(street)
    looking_for_it(street)
    handing_out_tokens(street)
    writing_programs(street)


#: Words of the web that are the same in every language, on the pages for those who write programs.
TERMS = frozenset(
    re.findall(
        "[A-Za-z]+",
        "ETag GET PUT PATCH DELETE Idempotency Key CORS OpenAPI React httpx TypeScript HTTP KB Cookie Bearer ASCII api",
    )
)


def writing_programs(street: Street) -> None:
    """The page for developers, with every answer that it gives about an origin; the API in a browser."""
    names = NAMES | TERMS
    for reader in (street["xiaomei"], street.visitor):
        reader.get("/developers", names=names)
        reader.get("/developers?origin=https://app.example.org", names=names)
    meal = street.eats("xiaomei", note="有点辣")
    own = f"/api/meals/{id_of(meal)}"
    for path in ("/api", "/api/meals?limit=1", own, "/api/nowhere", "/api/media", "/api/user/profile"):
        for reader in (street["xiaomei"], street.visitor):
            page = reader.app.get(path, headers={"Accept": "text/html"}, expect_errors=True)
            reader.look(page, names | set(re.findall("[A-Za-z_]+", path)))


def handing_out_tokens(street: Street) -> None:
    """Tokens for one's own programs: none, a new one, those that end soon or have ended, and revoking them."""
    mei, page = street["xiaomei"], "/settings/tokens"
    assert "还没有令牌" in mei.get(page)
    for name, days in (("厨房秤", "7"), ("机器人", "never"), ("旧脚本", "30")):
        assert "只显示这一次" in mei.fill(page, "days", name=name, days=days)
    street.write(update(PersonalToken).where(PersonalToken.name == "旧脚本").values(expires_at=now()))
    street.write(update(PersonalToken).where(PersonalToken.name == "机器人").values(last_used_at=now()))
    shown = mei.get(page)
    assert "即将到期" in shown
    assert "已过期" in shown
    revoke = shown.html.select_one(".row a.button")["href"]
    assert "旧脚本" in mei.get(revoke)
    assert "令牌已撤销" in mei.press(revoke, revoke)
    mei.get(f"{page}/revoke-all")
    assert "还没有令牌" in mei.press(f"{page}/revoke-all", f"{page}/revoke-all")


def at_home(street: Street) -> None:
    """The home feed with nobody in it, with those who have not eaten, and with oneself; places."""
    mei, here, there = street["xiaomei"], f"/places/{quote('家里')}", f"/places/{quote('后院')}"
    assert "一起吃饭更香" in street["laowang"].get("/home")
    street.does("aqiang", "PUT", "/users/laowang/follow")
    assert "还没开饭" in street["aqiang"].get("/home")
    street.does("aqiang", "DELETE", "/users/laowang/follow")
    street.eats("xiaomei", place={"name": "家里"}, note="有点辣 #川菜")
    street.all_get(here, f"{here}?max_id=1", "/@xiaomei?max_id=1")
    assert "一起吃饭更香" in mei.get("/home")
    mei.get("/home?max_id=1")
    street.eats("xiaomei", "烤红薯", place={"name": "后院"}, visibility="unlisted")
    assert "还没有公开的内容" in mei.get(there)


def following(street: Street) -> None:
    """Following, being followed, asking for it, and all lists of it."""
    mei, wang = street["xiaomei"], street["laowang"]
    lists = ("/@xiaomei/followers", "/@xiaomei/following", "/@laowang/followers", "/@laowang/following")
    street.all_get("/@xiaomei", "/@laowang", *lists)
    assert "取消关注" in wang.press("/@xiaomei", "/@xiaomei/follow")
    street.all_get("/@xiaomei", "/@laowang", *lists)
    wang.get("/home")
    assert "不再关注你" in mei.press("/@laowang", "/@laowang/remove-follower")
    assert "没有待处理的申请" in mei.get("/follow-requests")
    assert "已开启" in mei.press("/settings/privacy", "/settings/privacy", locked=True)
    street.visitor.get("/@xiaomei")
    assert "撤回申请" in wang.press("/@xiaomei", "/@xiaomei/follow")
    for path in ("/@laowang", "/follow-requests", "/settings/privacy", "/"):
        mei.get(path)
    assert "现在关注你了" in mei.press("/follow-requests", "/follow-requests/laowang")
    for _ in ("not any more", "asking again"):
        wang.press("/@xiaomei", "/@xiaomei/follow")
    assert "申请关注你" in mei.get("/@laowang")
    mei.press("/@laowang", "/follow-requests/laowang", "reject")
    for first, state in ((FAR, FollowState.ACCEPTED), (FAR + MANY, FollowState.REQUESTED)):
        row = {"target_id": street.people["xiaomei"].account_id, "state": state}
        street.write(insert(Follow), [row | {"account_id": id} for id in street.strangers(MANY, first)])
    for path in ("/@xiaomei/followers", "/follow-requests"):
        assert "看看更多" in mei.get(path)
        assert "没有更多人了" in mei.get(f"{path}?max_id=1")
    assert "已关闭" in mei.press("/settings/privacy", "/settings/privacy", locked=False)


def who_may_see_what(street: Street) -> None:
    """Changing who may see many meals at once: nothing to change, refused, asked once more, done."""
    mei, qiang, path = street["xiaomei"], street["aqiang"], "/settings/privacy/meals"
    assert "还没有发布过" in qiang.get("/settings/privacy")
    assert "什么都不会改变" in qiang.press(path, path)
    assert mei.press(path, path, before="nonsense").status_int == 422
    asked = mei.press("/settings/privacy", path)
    assert "将修改" in asked
    confirm = form_with(asked, "confirmed")
    assert "已修改" in mei.look(confirm.submit())


def muting_and_blocking(street: Street) -> None:
    """For how long, really, and the lists of both."""
    mei = street["xiaomei"]
    for path in (
        "/settings/mutes",
        "/settings/blocks",
        "/settings/mutes?max_id=1",
        "/@laowang/mute",
        "/@laowang/block",
    ):
        mei.get(path)
    assert mei.press("/@laowang/mute", "/@laowang/mute", duration="nonsense").status_int == 422
    assert "已隐藏" in mei.press("/@laowang/mute", "/@laowang/mute", duration="604800")
    street.does("xiaomei", "PUT", "/users/aqiang/mute")
    assert "直到你取消" in mei.get("/settings/mutes")
    assert "已取消隐藏" in mei.press("/settings/mutes", "/@laowang/mute")
    assert "已取消隐藏" in mei.press("/@aqiang", "/@aqiang/mute")
    assert "互相看不到" in mei.press("/@laowang/block", "/@laowang/block")
    street["laowang"].get("/@xiaomei", status=404)
    assert "已取消屏蔽" in mei.press("/settings/blocks", "/@laowang/block")


def what_one_avoids(street: Street) -> None:
    """Allergies and diets, the notes on cards, and the page before a meal that is left out."""
    wang, page = street["laowang"], "/settings/food"
    meal = street.eats("xiaomei", "宫保鸡丁", allergens={"contains": ["peanuts", "eggs"], "free_from": ["milk"]})
    street.eats("xiaomei", "蛋炒饭")
    assert wang.press(page, page, names=NAMES | {"hide", "warn"}, mode="nonsense").status_int == 422
    avoided = {"avoid": ["peanuts", "eggs", "fish"], "diets": ["vegan", "halal"]}
    street.does("laowang", "PUT", "/preferences", avoided | {"mode": "warn"})
    assert "你忌口的" in wang.get(meal)
    assert "未声明" in wang.get("/")
    assert "立即生效" in wang.press(page, page, mode="hide")
    assert "仍要查看" in wang.get(meal)
    assert "宫保鸡丁" in wang.get(f"{meal}?show=1")
    street.does("laowang", "PUT", "/preferences", {"mode": "hide", "avoid": [], "diets": []})


def what_others_eat(street: Street) -> None:
    """“Yum!”, “Want to eat” and “I ate this too”, with their lists."""
    mei, wang = street["xiaomei"], street["laowang"]
    photo = Upload("plate.jpg", draw(), "image/jpeg")
    mei.get(mei.fill("/new", "food", food="粥", photo=photo, photo_alt="一碗粥").request.path + "/edit")
    meal = street.eats("xiaomei", "红烧肉")
    assert "什么让你流口水了" in wang.get("/want")
    assert "还没有别人吃过" in wang.get(f"{meal}/ate-too")
    wang.press(meal, f"{meal}/like")
    wang.press(meal, f"{meal}/want")
    for path in ("/want", "/want?max_id=1", f"/new?inspired_by={id_of(meal)}", f"/share?title={quote('小笼包')}"):
        wang.get(path)
    copy, again = (street.eats_too(who, meal) for who in ("laowang", "xiaomei"))
    for _ in range(FEW):
        street.eats_too("aqiang", meal)
    street.all_get(meal, copy, again, f"{meal}/ate-too", f"{meal}/ate-too?max_id=1")
    assert "吃过了" in wang.get(meal)
    assert "查看全部" in wang.get(meal)
    assert "灵感来自" in wang.get(copy)
    assert "又吃了一次：" in mei.get(again)
    # As if it was only a photo.
    street.write(update(Post).where(Post.id == int(id_of(meal))).values(food=None, version=Post.version + 1))
    assert "的一餐" in wang.get(copy)
    assert "又吃了一次" in mei.get(again)
    wang.get(f"/new?inspired_by={id_of(meal)}")


def talking(street: Street) -> None:
    """Comments: none, refused, many, with replies, gone, changed, deleted, closed."""
    mei, wang, visitor = street["xiaomei"], street["laowang"], street.visitor
    meal = street.eats("xiaomei", "酸辣粉")
    street.all_get(meal, f"{meal}?thread=1")
    assert "出错了" in wang.press(meal, f"{meal}/comments", note=" ")
    wang.press(meal, f"{meal}/comments", note="太辣了")
    first = street.says("aqiang", meal, "看着就香")
    answers = [street.says("xiaomei", meal, "好吃", first) for _ in range(THREAD_PAGE + 5)]
    others = [street.says("laowang", meal, "再来一碗") for _ in range(THREADS)]
    street.says("xiaomei", meal, "明天吧", others[0])
    street.does("laowang", "DELETE", f"/comments/{others[0]}")
    thread = f"{meal}?thread={first}"
    street.all_get(meal, f"{meal}?comments_before={others[2]}", thread, f"{thread}&comments_before={answers[-3]}")
    assert "已经不在了" in visitor.get(f"{meal}?comments_before={others[2]}")
    assert "最新回复" in visitor.get(f"{thread}&comments_before={answers[-3]}")
    one, two = (f"/@laowang/{id}" for id in others[-2:])
    wang.press(meal, f"/comments/{others[-1]}/like")
    stale = form_with(wang.app.get(f"{one}/edit"), "version")
    assert "已保存" in wang.press(f"{one}/edit", f"{one}/edit", note="再来两碗")
    stale["note"] = "再来三碗"
    assert "再次保存" in wang.look(stale.submit(status=422))
    assert "评论已删除" in wang.press(f"{two}/delete", f"{two}/delete")
    late = form_with(wang.app.get(meal), "note")
    mei.press(meal, f"{meal}/comments/close")
    street.all_get(meal, street.eats("xiaomei", "凉皮", comments_closed=True))
    late["note"] = "还有吗"
    assert "关闭了" in wang.look(late.submit(status=409))


def being_told(street: Street) -> None:
    """Notifications of every kind, of one person and of two, read and unread; few, none that show, and very many."""
    mei, zhang, page = street["xiaomei"], street["zhangsan"], "/notifications"
    assert "餐桌上静悄悄" in zhang.get(page)
    assert "还没有这类通知" in zhang.get(f"{page}?type=mention")
    meal, elsewhere = street.eats("xiaomei", "炸酱面"), street.eats("laowang", "刀削面")
    comment = street.says("xiaomei", elsewhere, "看着不错")
    for who in ("laowang", "aqiang"):
        street.does(who, "PUT", "/users/xiaomei/follow")
        street.does(who, "PUT", f"/meals/{id_of(meal)}/like")
        street.does(who, "PUT", f"/comments/{comment}/like")
        street.says(who, meal, "真香")
        street.says(who, elsewhere, "同意", comment)
        street.says(who, elsewhere, "快来 @xiaomei")
        street.eats_too(who, meal)
        street.eats(who, "火锅", note="和 @xiaomei 一起吃的")
        run_due(street.registry)
        assert len(set(words_of(mei.get(page)))) > 7
    street.does("xiaomei", "PATCH", "/user/profile", {"locked": True})
    for who in ("laowang", "aqiang"):
        street.does(who, "DELETE", "/users/xiaomei/follow")
        street.does(who, "PUT", "/users/xiaomei/follow")
        run_due(street.registry)
        assert "处理申请" in mei.get(f"{page}?type=follow_request")
    for query in ("type=like", "type=comment", "type=mention", "type=follow", "type=ate_too", "max_id=1"):
        mei.get(f"{page}?{query}")
    mei.press(page, f"{page}/read")
    assert "已保存" in mei.press("/settings/notifications", "/settings/notifications")
    row = {"from_id": FAR, "type": "like", "post_id": int(id_of(meal)), "created_at": now()}
    for name, number in (("xiaomei", MOST_UNREAD), ("zhangsan", WINDOW_ROWS + 1)):
        told = row | {"account_id": street.people[name].account_id}
        street.write(insert(Notification), [told | {"key": f"k{n}", "group_key": f"k{n}"} for n in range(number)])
    assert "99 条以上未读" in mei.get("/about")
    assert "更早的通知" in mei.get(page)
    street.write(insert(Mute), {"account_id": street.people["zhangsan"].account_id, "target_id": FAR})
    assert "请往下看更早的" in zhang.get(page)


def words_of(page: Any) -> list[str]:
    """What each notification says."""
    return [item.get_text() for item in page.html.select(".notice__words")]


def what_was_eaten(street: Street) -> None:
    """The diary by month, year, week and day: its owner's, somebody else's, empty and full."""
    today = now().astimezone(ZoneInfo("Asia/Shanghai")).date()
    # Four years ago there was this day, too, if it is the last of February.
    last_month = today.replace(day=1) - timedelta(1)
    last_month = last_month.replace(day=min(today.day, last_month.day))
    days = [today.replace(year=today.year - 4), last_month, today - timedelta(7), today]
    for day in days:
        street.eats("xiaomei", "热干面", eaten_at=f"{day}T01:00:00Z", place={"name": "巷口"}, note="#早点")
    street.eats("xiaomei", "牛排", eaten_at=f"{days[1]}T15:00:00Z", time_zone="America/New_York")
    eaten = {
        "kind": "meal", "account_id": street.people["xiaomei"].account_id, "visibility": "public", "food": "汤圆",
        "meal_type": "snack", "eaten_at": now(), "created_at": now(), "time_zone": "Asia/Shanghai", "eaten_on": days[0],
    }  # fmt: skip
    rows = [
        eaten | {"id": id, "uri": f"http://localhost/m{id}", "url": f"http://localhost/@xiaomei/{id}"}
        for id in range(1, 102)
    ]
    street.write(insert(Meal), rows)
    pages = {day: diary_pages(day) for day in (*days, today.replace(year=2001))}
    for owner, seen in (("xiaomei", (days[0], days[1], today)), ("zhangsan", (days[0],))):
        for path in ("", *(path for day in seen for path in pages[day])):
            for reader in ("xiaomei", "zhangsan"):
                street[reader].get(f"/@{owner}/diary{path}")
    for path in pages[today.replace(year=2001)]:
        street.visitor.get(f"/@xiaomei/diary{path}")
    assert "一页放不下" in street.visitor.get(f"/@xiaomei/diary/{days[0]:%Y/%m/%d}")
    assert "纽约时间" in street.visitor.get(f"/@xiaomei/diary/{days[1]:%Y/%m/%d}")
    assert "那年今日" in street.visitor.get("/@xiaomei/diary")


def diary_pages(day: date) -> list[str]:
    """The pages of a diary on which the day stands."""
    year, week, _weekday = day.isocalendar()
    return [f"/{day:%Y}", f"/{day:%Y/%m}", f"/{day:%Y/%m/%d}", f"/week/{year}-W{week:02}"]


def looking_for_it(street: Street) -> None:
    """Search, explore and the draw, with and without results."""
    everything = "&".join(f"{name}={quote(value)}" for name, value in {
        "q": "麻婆", "meal_type": "lunch", "diet": "vegan", "without": "milk", "from": "2020-01-01", "to": "2020-02-01",
        "photo": "false", "tag": "川菜", "place": "家里",
    }.items())  # fmt: skip
    for words in ("麻婆", "小美", "川菜", "家里", "红烧肉", "佛跳墙"):
        street.all_get(f"/search?q={quote(words)}")
    street.all_get("/search", f"/search?{everything}", f"/search?q={quote('红烧肉')}&max_id=1")
    street.all_get("/explore", "/explore?photo=true", "/explore?meal_type=lunch", "/explore?max_id=1")
    street.does("laowang", "PUT", f"/meals/{id_of(street.eats('xiaomei', '年糕'))}/want")
    street.all_get("/random", "/random?meal_type=lunch", f"/random?place={quote('月球')}")
    for source in DrawSource:
        street["laowang"].get(f"/random?source={source}")
