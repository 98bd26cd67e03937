"""Many at once, in threads and in processes: what is counted is what is there, and nothing waits in a circle."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, select, update

from mealshare import main
from mealshare.features.accounts.models import Account
from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.indexing import PlaceIndex
from mealshare.features.meals.models import Post, Tag
from mealshare.features.meals.queries import meal_entity
from mealshare.features.meals.schemas import MealInput, PlaceInput
from mealshare.features.reactions.models import Like, Want
from mealshare.features.social.models import Follow
from tests.functional.hostile_requests import Answer, browser_of, send, send_json
from tests.functional.races import THREADS, at_once, until_somebody_waits
from tests.people import add_user
from tests.sites import site_settings

POSTS = Post.__table__
PROCESSES = 3
#: What each process runs: five threads that press all buttons of two meals, one of which is a copy of the other, while
#: the authors edit both with tags and places in common.  It begins when it reads a line, and fails if anything fails.
PRESS = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from mealshare import main
from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.schemas import MealInput
from mealshare.features.comments.service import CommentService
from mealshare.features.reactions.service import LikeService, WantService
from mealshare.features.social.service import FollowService

given = json.loads(sys.argv[1])
registry = main({}, **given["settings"]).registry
meals, people, number = given["meals"], given["people"], given["number"]

def once(change):
    with registry["open_work"]() as work:
        return change(work)

def run(thread):
    me = people[(number * 5 + thread) % len(people)]
    for round in range(4):
        meal = meals[(round + thread) % 2]
        like = round % 2 == 0
        once(lambda work: getattr(LikeService(work), "like" if like else "unlike")(me, meal))
        once(lambda work: getattr(WantService(work), "want" if like else "unwant")(me, meal))
        said_it = once(lambda work: CommentService(work, "http://localhost").post(me, meal, f"hm {round}").id)
        if round % 2:
            once(lambda work: CommentService(work, "http://localhost").delete(said_it, meal))
        other = people[(number + thread + round) % len(people)]
        if other != me:
            once(lambda work: getattr(FollowService(work), "follow" if like else "unfollow")(me, other))
        visibility = ("public", "only_me", "unlisted")[(round + thread) % 3]
        said = {"food": f"copy {round}", "tags": ["a", "b"], "place": {"name": f"place {round}"}}
        copy = once(lambda work: make_meal_service(work, registry).post(
            me, MealInput.model_validate({**said, "visibility": visibility}, strict=False), inspired_by=meal).id)
        if round % 3 == 0:
            once(lambda work: make_meal_service(work, registry).delete(me, copy))
        elif round % 3 == 1:
            hidden = MealInput.model_validate({**said, "tags": ["b"], "visibility": "followers"}, strict=False)
            once(lambda work: make_meal_service(work, registry).edit(me, copy, hidden))
        owner = given["owners"][thread % 2]
        changed = MealInput.model_validate({**said, "tags": ["b", f"t{round}"]}, strict=False)
        once(lambda work: make_meal_service(work, registry).edit(owner, meals[thread % 2], changed))

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(5) as pool:
    list(pool.map(run, range(5)))
"""


def counted(engine: Any, meal_id: int) -> tuple[dict[str, int], dict[str, int]]:
    """What the meal counts, and what there is."""
    copies = (POSTS.c.inspired_by_id == meal_id, POSTS.c.deleted_at.is_(None))
    public = POSTS.c.visibility.in_(("public", "unlisted"))
    likes, everything = select(func.count()).select_from(Like), select(func.count()).select_from(POSTS)
    with engine.connect() as connection:
        columns = (POSTS.c.likes_count, POSTS.c.ate_too_count, POSTS.c.comments_count)
        row = connection.execute(select(*columns).where(POSTS.c.id == meal_id)).one()
        there = {
            "likes": connection.scalar(likes.where(Like.post_id == meal_id)),
            "copies": connection.scalar(everything.where(*copies, public)),
            "comments": connection.scalar(everything.where(POSTS.c.root_id == meal_id, POSTS.c.deleted_at.is_(None))),
        }
    return {"likes": row.likes_count, "copies": row.ate_too_count, "comments": row.comments_count}, there


def test_sixteen_threads_press_everything(wsgi_app: Any, registry: Any, make_user: Any) -> None:
    """Likes, wants and copies of one meal, in a browser's session, each several times and back."""
    mei = browser_of(registry, make_user("mei").account_id)
    people = [browser_of(registry, make_user(f"fan{number}").account_id) for number in range(THREADS)]
    meal = send_json(wsgi_app, "POST", "/api/meals", mei, {"food": "rice", "tags": ["a", "b"]}).json
    path = f"/api/meals/{meal['id']}"

    def press(number: int) -> Callable[[], Answer]:
        def run() -> Answer:
            for round in range(3):
                for word in ("like", "want"):
                    for method in ("PUT", "DELETE") if (number + round) % 2 else ("DELETE", "PUT"):
                        assert send(wsgi_app, method, f"{path}/{word}", people[number]).status == 204
                visibility = ("public", "only_me", "unlisted")[(number + round) % 3]
                answer = send_json(wsgi_app, "POST", f"{path}/ate-too", people[number], {"visibility": visibility})
                assert answer.status == 201, answer.text
                if round == 1:
                    assert send(wsgi_app, "DELETE", f"/api/meals/{answer.json['id']}", people[number]).status == 204
            return answer

        return run

    at_once([press(number) for number in range(THREADS)])
    counts, there = counted(registry["engine"], int(meal["id"]))
    assert counts == there
    # The last round of each ends with PUT for the even ones; two of three rounds leave a copy, hidden in a third.
    assert counts["likes"] == THREADS // 2
    assert 0 < counts["copies"] < 2 * THREADS
    with registry["engine"].connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Want)) == THREADS // 2


@pytest.mark.parametrize("change", ["post", "edit", "delete"])
def test_nobody_waits_in_a_circle(registry: Any, work: Any, make_user: Any, backend: str, change: str) -> None:
    """Who edits a meal holds it, then wants its tags and place; so who writes a copy must not hold those before it."""
    mei, ann = make_user("mei").account_id, make_user("ann").account_id
    said = MealInput(food="rice", tags=["t"], place=PlaceInput(name="p"))
    with work() as unit:
        service = make_meal_service(unit, registry)
        original = service.post(mei, MealInput(food="rice", tags=["t"])).id
        copy = service.post(ann, MealInput(food="rice", tags=["t"]), inspired_by=original).id

    def write() -> None:
        with work() as unit:
            service = make_meal_service(unit, registry)
            if change == "post":
                service.post(ann, said, inspired_by=original)
            elif change == "edit":
                service.edit(ann, copy, said.model_copy(update={"visibility": "only_me"}))
            else:
                service.delete(ann, copy)

    with ThreadPoolExecutor(1) as pool:
        with work() as unit:
            assert meal_entity(unit.session, original, mei) is not None
            copying = pool.submit(write)
            until_somebody_waits(registry, backend)
            PlaceIndex(unit.session).find_or_add(said.place)
            unit.session.execute(update(Tag).values(meals_count=Tag.meals_count))
        copying.result(30)
    counts, there = counted(registry["engine"], original)
    assert counts == there == {"likes": 0, "copies": {"post": 2}.get(change, 0), "comments": 0}


@pytest.fixture
def shared(database_url: str, tmp_path: Path) -> Any:
    """A site of this test alone, whose database other processes open as well."""
    settings = site_settings(tmp_path, database_url, "http://localhost") | {"jobs.engine": "worker"}
    registry = main({}, **settings).registry
    yield registry, settings
    registry["engine"].dispose()


def test_three_processes_on_one_database(shared: Any) -> None:
    """The same with five threads in each of three processes, while the meals themselves are edited."""
    registry, settings = shared
    owners = [add_user(registry, name).account_id for name in ("mei", "ann")]
    people = [*owners, *(add_user(registry, f"fan{number}").account_id for number in range(13))]
    with registry["open_work"]() as work:
        service = make_meal_service(work, registry)
        first = service.post(owners[0], MealInput(food="rice", tags=["a"])).id
        meals = [first, service.post(owners[1], MealInput(food="rice too", tags=["a"]), inspired_by=first).id]
    running = [start(settings, meals=meals, people=people, owners=owners, number=number) for number in range(PROCESSES)]
    try:
        for process in running:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in running:
            _output, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors[-2000:]
    finally:
        for process in running:
            process.kill()
    engine = create_engine(settings["db.url"])
    try:
        for meal in meals:
            counts, there = counted(engine, meal)
            assert counts == there
            assert counts["copies"] > 0
            assert counts["comments"] > 0
        with engine.connect() as connection:
            follows = {
                column: dict(tuple(row) for row in connection.execute(select(column, func.count()).group_by(column)))
                for column in (Follow.account_id, Follow.target_id)
            }
            rows = connection.execute(select(Account.id, Account.following_count, Account.followers_count)).all()
        assert sum(follows[Follow.account_id].values()) > 0
        for id, following, followers in rows:
            assert (following, followers) == (
                follows[Follow.account_id].get(id, 0),
                follows[Follow.target_id].get(id, 0),
            )
    finally:
        engine.dispose()


def start(settings: dict[str, str], **given: Any) -> Any:
    """A process that waits for a line."""
    argument = json.dumps({"settings": settings, **given})
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", PRESS, argument], text=True, **pipes)
