"""Holds the answers of all frameworks against MealShare's: nothing is measured that does not do the same.

Of a meal in JSON these members are compared, and these are what the other frameworks answer (`MEMBERS`); MealShare
answers these and two dozen more.  Moments are compared as instants, whatever their offset.  Of a page in HTML each card
is compared: its words, links and pictures, found by the class names of microformats, which all pages use.  A POST has
to leave the same rows behind (`rows_of`): the meal, its place, its tags with their counts, its author's count, and its
entry in the author's home feed.  What only MealShare does (jobs that write the followers' home feeds, the words of the
search) is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

from sqlalchemy import Connection, text

from benchmarks.worker import Answer, Case
from benchmarks.workers import Worker

#: Members of a meal, and of the objects in it.
MEMBERS = {
    "": ("id", "url", "food", "note", "note_html", "meal_type", "eaten_at", "time_zone", "created_at", "visibility",
         "likes_count", "comments_count", "ate_too_count"),
    "user": ("username", "display_name", "url"),
    "place": ("name", "city", "country_code"),
    "tags": ("name",),
    "media": ("id", "url", "preview_url", "description", "blurhash", "width", "height"),
}  # fmt: skip
_MOMENTS = ("eaten_at", "created_at")
#: What a POST that is compared sends.
MEAL = {
    "food": "Mapo tofu", "note": "Hot enough. #tofu #sichuan", "meal_type": "lunch",
    "eaten_at": "2026-01-20T12:30:00+08:00", "time_zone": "Asia/Shanghai", "visibility": "public",
    "place": {"name": "Old Chen", "city": "Chengdu", "country_code": "CN"}, "tags": ["noodles"],
}  # fmt: skip
FEED = Case(path="/api/feed/public")
FRONT = Case(path="/")


class ContractError(Exception):
    """Two frameworks do not do the same."""


def meal_case(id: int) -> Case:
    """One meal as JSON."""
    return Case(path=f"/api/meals/{id}")


def post_case(token: str) -> Case:
    """A POST by whoever the token belongs to."""
    return Case("POST", "/api/meals", headers={"Authorization": f"Bearer {token}"}, body=json.dumps(MEAL))


def restricted(meal: Mapping[str, Any]) -> dict[str, Any]:
    """A meal with nothing but what is compared; KeyError if something of that is missing."""
    found: dict[str, Any] = {name: meal[name] for name in MEMBERS[""]}
    for name in _MOMENTS:
        text = meal[name]
        moment = datetime.fromisoformat(text)
        found[name] = (moment if moment.tzinfo else datetime.fromisoformat(text + "Z")).timestamp() // 1
    for part in ("user", "place"):
        found[part] = meal[part] and {name: meal[part][name] for name in MEMBERS[part]}
    for part in ("tags", "media"):
        found[part] = [{name: item[name] for name in MEMBERS[part]} for item in meal[part]]
    return found


class _Cards(HTMLParser):
    """Finds the cards of a page, and in each what its classes name."""

    _TEXTS = ("p-author", "p-name", "e-content", "p-location", "p-category", "badge")
    _VOID = ("img", "br", "input", "meta", "link", "hr", "use", "source")

    def __init__(self) -> None:
        super().__init__()
        self.cards: list[dict[str, Any]] = []
        self.next: str | None = None
        self._open: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        classes = (given.get("class") or "").split()
        if tag == "a" and given.get("rel") == "next":
            self.next = given.get("href")
        if tag == "article":
            self.cards.append({"id": given.get("id"), "links": [], "pictures": []})
        elif self.cards and "article" in self._open:
            card = self.cards[-1]
            if tag == "img" and "u-photo" in classes:
                card["pictures"].append({name: given[name] for name in ("src", "srcset", "alt", "width", "height")})
            if tag == "time" and "dt-published" in classes:
                moment = datetime.fromisoformat(given["datetime"] or "")
                card["published"] = moment.timestamp() // 1
            within = next((name for name in reversed(self._open) if name in self._TEXTS), None)
            if tag == "a" and (within in ("p-name", "e-content") or {"p-author", "u-url", "p-location"} & {*classes}):
                card["links"].append(given.get("href"))
        if tag not in self._VOID:
            mark = next((name for name in self._TEXTS if name in classes), None)
            # Of the badges on a card the first says which meal it was; those below it are diets and allergens.
            named = mark if mark != "badge" or (self.cards and "badge" not in self.cards[-1]) else None
            self._open.append("article" if tag == "article" else named)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._VOID:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._VOID and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        within = next((name for name in reversed(self._open) if name in self._TEXTS), None)
        if within and self.cards and "article" in self._open:
            card = self.cards[-1]
            card[within] = " ".join((card.get(within, "") + " " + data).split())


def cards_of(page: str) -> tuple[list[dict[str, Any]], str | None]:
    """The cards of a page, and the query that leads to older ones."""
    parser = _Cards()
    parser.feed(page)
    return parser.cards, parser.next and parser.next.partition("?")[2]


def same(what: str, answers: Mapping[str, Any]) -> None:
    """Raise ContractError unless all are equal to the first."""
    names = list(answers)
    for name in names[1:]:
        if answers[name] != answers[names[0]]:
            raise ContractError(
                f"{what}: {name} differs from {names[0]}: " + _difference(answers[names[0]], answers[name])
            )


def _difference(one: Any, other: Any) -> str:
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return next(_difference(left, right) for left, right in zip(one, other, strict=True) if left != right)
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return "; ".join(f"{name}: {_difference(one[name], other[name])}" for name in one if one[name] != other[name])
    return f"{str(one)[:300]} != {str(other)[:300]}"


def _fine(name: str, answer: Answer, status: int = 200) -> Answer:
    if answer.status != status:
        raise ContractError(f"{name}: status {answer.status}: {answer.body[:500]}")
    return answer


def check_reads(given: Mapping[str, Worker], ids: list[int]) -> None:
    """Raise ContractError unless all answer the feed, older pages of it, and these meals alike, and pages as HTML."""
    for query in ("", f"max_id={ids[0]}"):
        case = Case(path=FEED.path, query=query)
        served = {name: worker for name, worker in given.items() if not (query and name == "floor")}
        answers = {name: _fine(name, worker.ask(case)) for name, worker in served.items()}
        same(f"feed {query}", {name: [restricted(one) for one in json.loads(a.body)] for name, a in answers.items()})
        same("links", {name: a.headers["link"].split(";")[0][-20:] for name, a in answers.items() if name != "floor"})
        pages = [name for name in ("mealshare", "flask", "django") if name in given]
        case = Case(path=FRONT.path, query=query)
        same(f"page {query}", {name: cards_of(_fine(name, given[name].ask(case)).body) for name in pages})
    for id in ids:
        answers = {name: _fine(name, worker.ask(meal_case(id))) for name, worker in given.items()}
        same(f"meal {id}", {name: restricted(json.loads(answer.body)) for name, answer in answers.items()})


def rows_of(connection: Connection, id: int) -> dict[str, Any]:
    """What a POST has left behind, without what must differ: ids and the moment of posting."""

    def all_of(query: str) -> list[list[Any]]:
        return [[_plain(value) for value in row] for row in connection.execute(text(query), {"id": id})]

    return {
        "meal": all_of(
            "SELECT p.kind, p.account_id, p.food, p.note, p.note_html, p.meal_type, p.eaten_at, p.eaten_on, p.time_zone,"
            " p.visibility, p.place_key, CAST(p.tag_names AS text), p.version, p.likes_count, p.comments_count,"
            " p.sensitive, p.spoiler_text, l.name, l.city, l.country_code, l.name_key, l.city_key, a.meals_count"
            " FROM posts p JOIN accounts a ON a.id = p.account_id LEFT JOIN places l ON l.id = p.place_id WHERE p.id = :id"
        ),
        "tags": all_of(
            "SELECT t.name, t.display, t.meals_count FROM post_tags x JOIN tags t ON t.id = x.tag_id"
            " WHERE x.post_id = :id ORDER BY t.name"
        ),
        "entries": all_of("SELECT account_id, author_id FROM timeline_entries WHERE post_id = :id"),
    }


def _plain(value: Any) -> Any:
    """Values of both databases and all drivers alike: JSON without spaces, moments in whole seconds."""
    if isinstance(value, str) and value.startswith("["):
        return json.loads(value)
    return str(value).removesuffix(".000000") if value is not None else None


def check_posts(given: Mapping[str, Worker], tokens: Mapping[str, str], connection: Connection) -> None:
    """Raise ContractError unless a POST gives the same answer and leaves the same rows, but for counts that went up by one."""
    effects, answers = {}, {}
    writing = {name: worker for name, worker in given.items() if name != "floor"}
    for number, (name, worker) in enumerate(writing.items()):
        answer = _fine(name, worker.ask(post_case(tokens["diarist"])), 201)
        refused = worker.ask(post_case(tokens["diarist"][:-4] + "AAAA"))
        if refused.status not in (401, 403):
            raise ContractError(f"{name}: a token with a wrong signature gives {refused.status}")
        wrong = Case(
            "POST", "/api/meals", headers=post_case(tokens["diarist"]).headers, body='{"food": 7, "eaten_at": "x"}'
        )
        if worker.ask(wrong).status not in (400, 422):
            raise ContractError(f"{name}: takes a meal that is none")
        meal = restricted(json.loads(answer.body))
        rows = rows_of(connection, int(meal["id"]))
        # Each came after the one before it, and counted once.
        rows["meal"] = [[*row[:-1], int(row[-1]) - number] for row in rows["meal"]]
        rows["tags"] = [[*row[:-1], int(row[-1]) - number] for row in rows["tags"]]
        effects[name] = rows
        answers[name] = {key: value for key, value in meal.items() if key not in ("id", "url", "created_at")}
    same("POST, answer", answers)
    same("POST, rows", effects)
