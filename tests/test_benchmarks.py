"""The benchmarks run, and say what they promise to say; the figures themselves are for a quiet machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from benchmarks import api_layer, data, goals, growth, inprocess, instructions, over_http, processes, report
from benchmarks.contract import FEED, ContractError, cards_of, check_posts, check_reads, restricted, same
from benchmarks.worker import Answer, Case
from benchmarks.workers import installed, workers
from mealshare.core.db.migrate import upgrade
from tests.databases import Backend, new_database

MEALS = 2_000


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[data.Site]:
    """A small filled site, apart from those of measuring."""
    backend: Backend = request.param
    if backend not in data.backends():
        pytest.skip("PostgreSQL is not named")
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("bench")
        for module in (data, over_http, processes):
            patch.setattr(module, "FOLDER", folder)
        patch.setattr(data, "PREFIX", f"mealshare_test_bench_{folder.name.rsplit('-', 1)[-1]}_{id(folder)}_")
        try:
            yield data.open_site(backend, MEALS)
        finally:
            data.clean()


def test_the_api_layer() -> None:
    results = api_layer.run(rounds=1, calls=1)
    assert results["openapi calls"] == 0
    assert results["python calls per request"] > 100
    for name, values in results["requests"].items():
        assert all(values[way] > 0 for way in api_layer.WAYS), name
    # Without an account a read is one statement; who it is takes another.
    reads = [values["statements"] for name, values in results["requests"].items() if name.startswith("GET")]
    assert reads == [1, 2, 1, 1]
    assert set(results["goals"]) <= set(results["parts"])
    assert "whole/bare" in api_layer.table(results)


# ---- Data


def test_a_site_is_what_it_says_and_is_kept(site: data.Site) -> None:
    engine = create_engine(site.url)
    with engine.connect() as connection:

        def one(query: str) -> int:
            return int(connection.execute(text(query)).scalar_one())

        assert one("SELECT count(*) FROM posts WHERE kind = 'meal'") == MEALS
        assert one("SELECT max(id) FROM posts WHERE kind = 'meal'") == data.meal_id(MEALS - 1)
        assert one("SELECT min(id) FROM posts WHERE kind = 'meal'") == data.meal_id(0)
        # Every counter is what its rows are.
        counted = (
            "SELECT count(*) FROM posts p WHERE p.likes_count <> (SELECT count(*) FROM likes WHERE post_id = p.id)"
        )
        assert one(counted) == 0
        answers = "(SELECT count(*) FROM posts c WHERE c.root_id = p.id)"
        assert one(f"SELECT count(*) FROM posts p WHERE p.kind = 'meal' AND p.comments_count <> {answers}") == 0
        tagged = (
            "(SELECT count(*) FROM post_tags x JOIN posts p ON p.id = x.post_id WHERE x.tag_id = tags.id"
            " AND p.visibility = 'public')"
        )
        assert one(f"SELECT count(*) FROM tags WHERE meals_count > 1 AND meals_count <> {tagged}") == 0
        eaten = "(SELECT count(*) FROM posts p WHERE p.account_id = a.id AND p.kind = 'meal' AND p.visibility IN ('public', 'unlisted'))"
        assert one(f"SELECT count(*) FROM accounts a WHERE a.meals_count <> {eaten}") == 0
        assert one(
            "SELECT count(*) FROM timeline_entries WHERE account_id IN (SELECT id FROM accounts WHERE username = 'loner')"
        )
    engine.dispose()
    again = data.open_site(site.backend, MEALS)
    assert (again.url, again.filled_seconds) == (site.url, 0.0)


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
def test_a_site_has_the_indexes_of_the_migrations(site: data.Site, tmp_path: Path) -> None:
    def indexes(url: str) -> set[str]:
        engine = create_engine(url)
        found = inspect(engine)
        names = {str(index["name"]) for table in found.get_table_names() for index in found.get_indexes(table)}
        engine.dispose()
        return names

    with new_database(site.backend, tmp_path) as url:
        upgrade(url)
        assert indexes(site.url) == indexes(url)


def test_sizes_are_thousands() -> None:
    with pytest.raises(ValueError, match="thousands"):
        data.open_site("sqlite", 2_500)


# ---- The contract, and what is measured


def test_all_that_is_compared_does_the_same_and_is_measured(site: data.Site) -> None:
    names = installed()
    assert names[:2] == ["mealshare", "floor"]
    found = inprocess.measure(site, names, rounds=1, calls=1)
    assert set(found["cpu"]["feed"]) == set(names)
    assert set(found["cpu"]["post"]) == {*names} - {"floor"}
    assert all(value > 0 for costs in found["cpu"].values() for value in costs.values())
    assert found["statements"]["feed"]["mealshare"] == 1
    assert all(value >= 2 for name, value in found["statements"]["feed"].items() if name != "mealshare")
    if site.backend == "postgresql":
        assert all(value > 0 for value in found["server"]["meal"].values())


class Fake:
    """A framework that answers what it is given."""

    def __init__(self, body: str) -> None:
        self.body = body

    def ask(self, case: Case) -> Answer:
        link = '<http://localhost/api/feed/public?max_id=109868754862080000>; rel="next"'
        return Answer(200, {"link": link}, self.body)


def test_what_differs_is_not_measured(site: data.Site) -> None:
    with workers(["mealshare"], site.url) as given:
        meals = json.loads(given["mealshare"].ask(FEED).body)
        case = Case(path=FEED.path)
        right = {"mealshare": given["mealshare"], "other": Fake(json.dumps(meals))}
        same("feed", {name: [restricted(one) for one in json.loads(w.ask(case).body)] for name, w in right.items()})
        meals[3]["note"] += "!"
        with pytest.raises(ContractError, match=r"other differs from mealshare: note"):
            check_reads({"mealshare": given["mealshare"], "other": Fake(json.dumps(meals))}, [data.meal_id(1002)])
        del meals[3]["note"]
        with pytest.raises(KeyError):
            restricted(meals[3])


def test_a_post_that_forgets_a_counter_is_noticed(site: data.Site) -> None:
    copy = data.copy_site(site, "broken")
    engine = create_engine(copy.url, isolation_level="AUTOCOMMIT")
    try:
        with workers(["mealshare"], copy.url) as given, engine.connect() as connection:
            token = given["mealshare"].tell("sign in", username="diarist")

            class Forgetful:
                def ask(self, case: Case) -> Answer:
                    answer = given["mealshare"].ask(case)
                    if answer.status == 201:
                        connection.execute(
                            text("UPDATE accounts SET meals_count = meals_count - 1 WHERE username = 'diarist'")
                        )
                    return answer

            with pytest.raises(ContractError, match="forgetful differs"):
                check_posts(
                    {"mealshare": given["mealshare"], "forgetful": Forgetful()}, {"diarist": token}, connection
                )  # fmt: skip
    finally:
        engine.dispose()
        data.remove_copy(copy)


def test_cards_are_read_from_a_page() -> None:
    page = """
    <article id="meal-7"><img class="u-photo" src="/a" srcset="/a 1w" alt="A" width="1" height="2">
    <a class="p-author" href="/@mei">Mei</a><time class="dt-published" datetime="2023-01-01T00:00:00Z"></time>
    <a class="u-url" href="/@mei/7"><time datetime="2023-01-01T00:00:00Z">now</time></a><span class="badge"><svg><use
    href="#i"/></svg>Lunch</span><h2 class="p-name"><a href="/@mei/7">Soup</a></h2>
    <div class="e-content"><p>So <a href="/tags/hot">#hot</a></p></div><span class="badge">Vegan</span></article>
    <a rel="next" href="/?max_id=7">Older</a>"""
    cards, older = cards_of(page)
    assert older == "max_id=7"
    assert cards == [
        {
            "id": "meal-7", "links": ["/@mei", "/@mei/7", "/@mei/7", "/tags/hot"], "p-author": "Mei", "p-name": "Soup",
            "published": 1672531200, "badge": "Lunch", "e-content": "So #hot",
            "pictures": [{"src": "/a", "srcset": "/a 1w", "alt": "A", "width": "1", "height": "2"}],
        }
    ]  # fmt: skip


def test_growth(site: data.Site) -> None:
    found = growth.measure([site], rounds=1, calls=1)
    assert found["statements"]["public feed"] == 1
    assert found["statements"]["home, only dormant followees"] <= 3
    assert "public feed" in growth.as_table(site.backend, found)


def test_statements_of_pages(site: data.Site) -> None:
    found = inprocess.statements_of_pages(site)
    assert (found["public feed"], found["front page"], found["304"]) == (1, 1, 1)
    assert 1 <= found["home"] <= 3
    assert 1 <= found["meal page"] <= 3


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk: install it (Debian: apt-get install wrk)")
def test_over_http_and_processes(site: data.Site) -> None:
    with over_http.server("mealshare", site.url, processes=2) as served:
        found = over_http.load(served, 1)
        assert (found.errors, len(served.ports)) == (0, 2)
        assert 0 < found.median <= found.p99
        assert all(over_http.pss(pid) > 10_000 for pid in served.pids())
    started = processes.cold_start(site, 1)
    assert started["cpu"] > 0
    assert all(value > 0 for value in processes.validation(1, 10).values())


def test_what_wrk_says() -> None:
    said = """Running 4s test @ http://127.0.0.1:1/
  Latency Distribution
     50%  500.00us
     75%   10.00ms
     99%    1.20s
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 3
Requests/sec:   1234.5
"""
    assert over_http.parse(said) == over_http.Load(1234.5, 0.5, 1200.0, 6)
    with pytest.raises(over_http.ServerError):
        over_http.parse("unable to connect")


# ---- Goals, tables


def results() -> dict[str, object]:
    """Something as a run leaves it, of which the half is missing."""
    costs = {"feed": {"mealshare": 200.0, "floor": 100.0, "flask": 1000.0}}
    part = {
        "meals": 2000,
        "cpu": costs,
        "server": {"feed": {"mealshare": 1.0}},
        "statements": {"feed": {"mealshare": 1}},
    }
    return {
        "commit": "abc", "machine": processes.machine(), "versions": {"flask": "3"}, "failed": {"http sqlite": "E\nno wrk"},
        "sqlite": part, "growth sqlite": {"sizes": [2000, 10000], "cpu": {"home": {"2000": 10.0, "10000": 15.0}},
                                          "statements": {"home": 2}},
    }  # fmt: skip


def test_goals_are_met_missed_or_not_measured() -> None:
    judged = {goal.text: goal for goal in goals.judge(results())}
    assert judged["JSON feed : the floor, SQLite"].met is True
    assert judged["JSON feed, Flask : MealShare, SQLite"].met is False
    assert judged["home: most meals : fewest, SQLite"].value == 1.5
    assert judged["JSON feed : the floor, PostgreSQL"].met is None
    assert {goal.number for goal in judged.values()} == {1, 2, 3, 4, 5, 6}
    assert "MISSED" in goals.as_table(list(judged.values()))


def test_the_page_takes_the_tables_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{report.BEGIN}\n\nolder words\n\n{report.END}\n\nAfter.\n", encoding="utf-8")
    report.write_page(results(), goals.judge(results()), page)
    text_of_page = page.read_text(encoding="utf-8")
    assert text_of_page.startswith("Before.")
    assert text_of_page.endswith("After.\n")
    assert "older words" not in text_of_page
    assert "| public feed, 20 meals, JSON | 200 µs | 0.50 | 5.00 | 1 |" in text_of_page
    assert "Not measured: http sqlite (no wrk)." in text_of_page
    assert report.BEGIN in report.PAGE.read_text(encoding="utf-8")


# ---- The gate


def test_the_gate_compares() -> None:
    lines = instructions.compare({"a": 1000, "b": 1000}, {"a": 1019, "b": 1021, "c": 5})
    assert [line.endswith("TOO MUCH") for line in lines] == [False, True, False]


def test_what_was_recorded_can_be_read(tmp_path: Path) -> None:
    known = instructions.recorded()
    assert set(known) == {"environment", "instructions"}
    assert set(known["environment"]) == set(instructions.environment())
    assert all(int(value) > 100_000 for value in known["instructions"].values())
    copy = tmp_path / "copy.toml"
    instructions.record({"a": 7}, copy)
    assert '"a" = 7' in copy.read_text(encoding="utf-8")


def test_the_tree_of_a_commit_is_checked_out() -> None:
    if not (instructions.ROOT / ".git").exists():
        pytest.skip("not a checkout")
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=instructions.ROOT, capture_output=True, text=True
    ).stdout.strip()
    with instructions.checkout(head) as tree:
        assert (tree / "mealshare" / "__init__.py").is_file()
    with pytest.raises(instructions.GateError, match="no commit"), instructions.checkout("0" * 40):
        pass
    assert re.fullmatch(r"[0-9a-f]{40}|", instructions.base_commit())
