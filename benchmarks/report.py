"""Makes tables of results: for the terminal, and for ``docs/performance.md`` between its two marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.frameworks import NAMES
from benchmarks.goals import Goal
from benchmarks.over_http import SERVERS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
TITLES = {
    "mealshare": "MealShare", "floor": "the floor", "flask": "Flask", "falcon": "Falcon", "django": "Django (REST)",
    "fastapi": "FastAPI", "litestar": "Litestar",
}  # fmt: skip
CASES = {
    "feed": "public feed, 20 meals, JSON", "page": "public feed, 20 meals, HTML", "meal": "one meal, JSON",
    "304": "one meal, not modified", "post": "post a meal",
}  # fmt: skip
BACKENDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_PACKAGES = ("pyramid", "SQLAlchemy", "waitress", "orjson", "psycopg", "flask", "falcon", "django", "djangorestframework",
             "fastapi", "pydantic", "litestar", "gunicorn", "uvicorn")  # fmt: skip


def versions() -> dict[str, str]:
    """The versions of what is compared."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _costs(found: Mapping[str, Any]) -> str:
    """CPU time against MealShare's, which stands in microseconds."""
    names = [name for name in NAMES if any(name in costs for costs in found["cpu"].values())]
    rows = []
    for case, title in CASES.items():
        costs = found["cpu"].get(case)
        if not costs:
            continue
        own = costs["mealshare"]
        cells = [f"{costs[name] / own:.2f}" if name in costs else "" for name in names if name != "mealshare"]
        statements = found["statements"].get(case, {}).get("mealshare", "")
        rows.append([title, f"{own:.0f} µs", *cells, str(statements)])
    return table(["request", "MealShare", *(TITLES[name] for name in names if name != "mealshare"), "statements"], rows)


def _servers(found: Mapping[str, Any]) -> str:
    """What PostgreSQL's own processes did meanwhile."""
    names = [name for name in NAMES if name in found["server"].get("feed", {})]
    rows = [
        [title, *(f"{found['server'][case][name]:.0f}" if name in found["server"][case] else "" for name in names)]
        for case, title in CASES.items()
        if case in found["server"]
    ]
    return table(["request", *(TITLES[name] for name in names)], rows)


def _growth(found: Mapping[str, Any]) -> str:
    sizes = [str(size) for size in found["sizes"]]
    rows = [
        [name, *(f"{costs[size]:.0f} µs" for size in sizes), f"{costs[sizes[-1]] / costs[sizes[0]]:.2f}",
         str(found["statements"][name])]
        for name, costs in found["cpu"].items()
    ]  # fmt: skip
    return table(["request", *(f"{int(size):,} meals" for size in sizes), "ratio", "statements"], rows)


def _loads(found: Mapping[str, Any]) -> str:
    rows = []
    for name, loads in found["load"].items():
        one, two = loads["1"], loads["2"]
        rows.append([
            TITLES[name], SERVERS[name], f"{one['per_second']:.0f}", f"{one['median']:.1f} / {one['p99']:.1f}",
            f"{two['per_second']:.0f}", f"{two['median']:.1f} / {two['p99']:.1f}",
            f"{found['pss'][name]['1'] / 1024:.0f} / {found['pss'][name]['2'] / 1024:.0f}",
            str(one["errors"] + two["errors"]),
        ])  # fmt: skip
    heads = (
        "",
        "server",
        "requests/s, 1 process",
        "median / p99 ms",
        "2 processes",
        "median / p99 ms",
        "PSS, MiB",
        "errors",
    )
    return table(heads, rows)


def sections(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The tables that there are results for, each with its title."""
    made = []
    for backend, title in BACKENDS.items():
        if backend in results:
            found = results[backend]
            about = f"{title}, {found['meals']:,} meals: CPU time of a request, as a multiple of MealShare's"
            made.append((about, _costs(found)))
            if backend == "postgresql":
                made.append(("PostgreSQL's own processes meanwhile, CPU µs", _servers(found)))
    for backend, title in BACKENDS.items():
        if f"growth {backend}" in results:
            made.append((f"Growth on {title}", _growth(results[f"growth {backend}"])))
    for backend, title in BACKENDS.items():
        if f"http {backend}" in results:
            made.append((f"Over HTTP, {title}: the public feed as JSON", _loads(results[f"http {backend}"])))
    return made


def as_text(results: Mapping[str, Any]) -> str:
    """All tables for the terminal."""
    return "\n\n".join(f"{title}\n\n{text}" for title, text in sections(results))


def as_markdown(results: Mapping[str, Any], goals: Sequence[Goal]) -> str:
    """All tables for the page."""
    machine = results["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        f"Commit `{results['commit']}`, {machine['time']}, Python {machine['python']}, {machine['processors']} processors "
        f"({machine['model']}), load before it began {machine['load before']}; {packages}.",
        "### Goals",
        table(
            ["", "goal", "figure", "", ""],
            ([str(goal.number), goal.text, goal.found, goal.wanted, goal.verdict] for goal in goals),
        ),
    ]
    for title, text in sections(results):
        lines += [f"### {title}", text]
    for name, error in results["failed"].items():
        lines.append(f"Not measured: {name} ({error.strip().splitlines()[-1]}).")
    return "\n\n".join(lines)


def write_page(results: Mapping[str, Any], goals: Sequence[Goal], page: Path = PAGE) -> None:
    """Write the tables between the marks of the page; ValueError if it has none."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} lacks its marks")
    page.write_text(f"{before}{BEGIN}\n\n{as_markdown(results, goals)}\n\n{END}{after}", encoding="utf-8")
