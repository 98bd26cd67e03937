"""People who do things to each other over the API, and what each of them is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from webtest import TestApp

from mealshare.core.db import MAX_ID, fetch
from mealshare.features.notifications.models import NotificationType
from mealshare.features.notifications.queries import _ROWS
from tests.people import add_user, bearer, sign_in


@dataclass
class Person:
    """Somebody with a program (for what they do) and a browser (for what they see)."""

    name: str
    account_id: int
    headers: dict[str, str]
    program: TestApp
    browser: TestApp
    registry: Any

    def send(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        """A request of the program; the JSON of the answer, if it has any."""
        call = getattr(
            self.program, f"{method.lower()}_json" if body is not None or method == "POST" else method.lower()
        )
        arguments = (
            (path, body if body is not None else {}) if method in ("POST", "PATCH") or body is not None else (path,)
        )
        answer = call(*arguments, headers=self.headers, status=status)
        return answer.json if answer.body else None

    def eats(self, food: str = "soup", **more: Any) -> str:
        """The id of a new meal."""
        return str(self.send("POST", "/api/meals", {"food": food, **more})["id"])

    def likes(self, meal: str, *, no_more: bool = False) -> None:
        """“Yum!”."""
        self.send("DELETE" if no_more else "PUT", f"/api/meals/{meal}/like")

    def comments(self, meal: str, note: str, answers: str | None = None) -> str:
        """The id of a new comment."""
        answered = {} if answers is None else {"in_reply_to_id": answers}
        return str(self.send("POST", f"/api/meals/{meal}/comments", {"note": note, **answered})["id"])

    def does(self, what: str, other: Person, *, no_more: bool = False) -> None:
        """Follows, blocks or mutes the other, or takes it back."""
        self.send("DELETE" if no_more else "PUT", f"/api/users/{other.name}/{what}")

    def shows(self, meal: str, visibility: str) -> None:
        """Change who may see a meal."""
        self.send("PATCH", f"/api/meals/{meal}", {"visibility": visibility})

    def avoids(self, *allergens: str) -> None:
        """Leave meals out that contain these."""
        self.send("PUT", "/api/preferences", {"mode": "hide", "avoid": list(allergens)})

    def told(self, query: str = "") -> list[dict[str, Any]]:
        """One's notifications, after a look at the page: it says the same, and its bell counts what is new in them."""
        found: list[dict[str, Any]] = self.send("GET", f"/api/notifications{query}")
        page = self.browser.get(f"/notifications{query}")
        assert re.findall(r'id="notice-(\d+)"', page.text) == [item["id"] for item in found]
        assert self.badge() == self.unread()
        return found

    def unread(self) -> int:
        """How many single notifications the list is made of that are new."""
        values = {"viewer": self.account_id, "max_id": MAX_ID, "min_id": 0, "skip": 0, "types": list(NotificationType)}
        with self.registry["read_engine"].connect() as connection:
            rows = fetch(connection, _ROWS[False], values)
        return sum(bool(row[-1]) and row.read_at is None for row in rows)

    def heard(self) -> list[tuple[str, str]]:
        """Of each notification the type and who it came from."""
        return [(item["type"], item["users"][0]["username"]) for item in self.told()]

    def badge(self) -> int:
        """How many are new, as the bell of any page says."""
        bell = self.browser.get("/settings/notifications").html.find(id="bell")
        count = bell.find(class_="bell__count")
        return 0 if count is None else int(count.text.strip("+"))


def make_person(registry: Any, app: TestApp, name: str, **known: Any) -> Person:
    """Somebody new, signed in everywhere."""
    user = add_user(registry, name, **known)
    browser = TestApp(app.app)
    sign_in(browser, user)
    return Person(name, user.account_id, bearer(app, user), TestApp(app.app), browser, registry)
