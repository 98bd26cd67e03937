"""People who follow each other, post and read their home feeds: for the tests of timelines."""

from __future__ import annotations

import re
from typing import Any

import orjson
from sqlalchemy import func, select
from webtest import TestApp

from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.schemas import MealInput
from mealshare.features.social.service import FollowService
from mealshare.features.timelines.models import TimelineEntry, TimelinePull


def links_of(answer: Any) -> dict[str, str]:
    """The paths in the Link header, by their relation."""
    links = re.findall(r'<http://localhost([^>]*)>; rel="(\w+)"', answer.headers.get("Link", ""))
    return {relation: path for path, relation in links}


class Site:
    """People by name, what they do, and what they then find at home."""

    def __init__(self, wsgi_app: Any, registry: Any, make_user: Any, token: Any, run_jobs: Any) -> None:
        self.app, self.registry, self.make_user, self.token, self.run_jobs = (
            TestApp(wsgi_app), registry, make_user, token, run_jobs,
        )  # fmt: skip
        self.people: dict[str, Any] = {}

    def __getitem__(self, name: str) -> int:
        if name not in self.people:
            self.people[name] = self.make_user(name)
        return int(self.people[name].account_id)

    def headers(self, name: str) -> dict[str, str]:
        self[name]
        person = self.people[name]
        if not hasattr(person, "headers"):
            person.headers = self.token(self.app, person)
        return dict(person.headers)

    def post(self, name: str, food: str, visibility: str = "public", **fields: Any) -> int:
        meal = MealInput.model_validate_json(orjson.dumps({"food": food, "visibility": visibility, **fields}))
        with self.registry["open_work"]() as work:
            return int(make_meal_service(work, self.registry).post(self[name], meal).id)

    def follow(self, *pairs: str, jobs: bool = True) -> None:
        """``"ann>mei"``: ann follows mei."""
        for pair in pairs:
            one, other = pair.split(">")
            with self.registry["open_work"]() as work:
                FollowService(work).follow(self[one], self[other])
        if jobs:
            self.jobs()

    def unfollow(self, one: str, other: str) -> None:
        with self.registry["open_work"]() as work:
            FollowService(work).unfollow(self[one], self[other])

    def jobs(self) -> int:
        return int(self.run_jobs(self.registry))

    def home(self, name: str, query: str = "") -> list[str]:
        return [meal["food"] for meal in self.answer(name, f"/api/feed/home{query}").json]

    def answer(self, name: str, path: str, **options: Any) -> Any:
        return self.app.get(path, headers=self.headers(name), **options)

    def pages(self, name: str, path: str) -> list[str]:
        """What is on all pages behind ``path``, and again from the other end: each page leads back to the one before."""
        found: list[str] = []
        upwards: list[str] = []
        last = ""
        while path:
            answer = self.answer(name, path)
            found += [meal["food"] for meal in answer.json]
            last, path = links_of(answer).get("prev", last), links_of(answer).get("next", "")
        while last:
            answer = self.answer(name, last)
            upwards = [meal["food"] for meal in answer.json] + upwards
            last = links_of(answer).get("prev", "")
        assert upwards == found[: len(upwards)]
        return found

    def rows(self, model: Any, *conditions: Any) -> int:
        with self.registry["engine"].connect() as connection:
            return int(connection.scalar(select(func.count()).select_from(model).where(*conditions)) or 0)

    def entries(self, reader: str, author: str) -> int:
        return self.rows(
            TimelineEntry, TimelineEntry.account_id == self[reader], TimelineEntry.author_id == self[author]
        )

    def pulled(self, author: str) -> int:
        """How many look the author up."""
        return self.rows(TimelinePull, TimelinePull.author_id == self[author], TimelinePull.account_id != self[author])
