"""The documentation holds what it says: links lead somewhere, names exist, and the examples run as they are printed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from playwright.sync_api import sync_playwright

from mealshare import configure
from mealshare.api.routes import allowed_methods
from mealshare.cli import main as command
from mealshare.core.db.migrate import upgrade
from mealshare.core.metrics.tween import PATH
from tests.browser.conftest import ARGUMENTS
from tests.conftest import left_out
from tests.databases import new_database
from tests.people import draw
from tests.sites import RunningSite, running_site, site_settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
#: Where the examples say that the site is.
DOCUMENTED = "http://localhost:6543"
#: What stands for "anything" in a printed answer.
ANYTHING = "…"
#: The settings of development.ini that the examples rely on.
AS_IN_DEVELOPMENT = {"cors__origins": "http://localhost:5173 http://localhost:3000"}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of the page, in order."""
    return [Block(kind, text) for kind, text in _FENCE.findall(page.read_text(encoding="utf-8"))]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def code_spans(page: Path) -> list[str]:
    """What stands between backquotes in the prose."""
    return _CODE.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The fragments that the headings of the page make, as GitHub and most others build them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")
        for heading in _HEADING.findall(prose(page))
    }


@pytest.fixture(scope="module")
def registry_of_docs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The registry of an application that serves nobody: what settings and operations there are."""
    folder = tmp_path_factory.mktemp("names")
    settings = site_settings(folder, f"sqlite:///{folder}/none.sqlite", DOCUMENTED) | {"db.check_revision": "false"}
    config = configure(settings)
    config.commit()
    return config.registry


# ---- Names


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target in _LINK.findall(prose(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, fragment = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{name} links to {target}"
        if fragment:
            assert fragment in anchors(linked), f"{name} links to {target}; {sorted(anchors(linked))}"


def test_the_pages_that_a_reader_expects_are_there() -> None:
    expected = {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}
    expected |= {"docs/hosting.md", "docs/api.md", "docs/security.md", "docs/configuration.md"}
    assert expected <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_make_target_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    page = ROOT / name
    spans = [*code_spans(page), *(block.text for block in blocks(page) if block.kind == "sh")]
    mentioned = {target for span in spans for target in re.findall(r"(?:^|\s)make ([a-z][\w-]*)", span)}
    assert mentioned <= targets


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_exists(name: str, registry_of_docs: Any) -> None:
    declared = registry_of_docs["settings_declared"]
    names = {item.name for item in declared} | {"retry.attempts", "tm.annotate_user", "tm.commit_veto"}
    variables = {item.environment for item in declared}
    sections = {item.name.partition(".")[0] for item in declared}
    page = ROOT / name
    # Not what is part of something longer: a path, an attribute of an attribute, the name of a file or of a log event.
    found = {
        match
        for span in code_spans(page)
        for match in re.findall(r"(?<![\w./@{-])([a-z]+\.[a-z_]+)(?![\w./(-])", span)
        if match.partition(".")[0] in sections and not match.endswith((".py", ".pt", ".md", ".ini", ".service"))
    }
    found |= {
        line.partition("=")[0].strip()
        for block in blocks(page)
        if block.kind == "ini"
        for line in block.text.splitlines()
        if re.match(r"[a-z]+\.[a-z_]+ *=", line)
    }
    # Jobs are called in the same way as settings.
    found -= LOG_EVENTS | set(registry_of_docs["jobs"].handlers)
    assert found <= names
    whole = page.read_text(encoding="utf-8")
    mentioned = {variable.removesuffix("_FILE") for variable in re.findall(r"MEALSHARE_[A-Z]+__[A-Z_]+", whole)}
    assert mentioned <= {variable.removesuffix("_FILE") for variable in variables}


#: Events of the log look like settings; these are the ones that the pages name.
LOG_EVENTS = {
    "jobs.broker_away",
    "jobs.broker_back",
    "jobs.message_unreadable",
    "storage.s3_failed",
    "storage.s3_back",
    "mail.no_server",
    "server.listening",
    "server.draining",
    "server.drained",
    "media.swept",
    "accounts.swept",
    "ratelimit.storage_failed",
    "ratelimit.storage_back",
    "cache.failed",
    "cache.back",
    "db.replica_failed",
    "db.replica_back",
    "db.replica_late",
    "db.replica_caught_up",
    "streams.ended",
}


def test_named_log_events_exist() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "mealshare").rglob("*.py"))
    assert {event for event in LOG_EVENTS if f'"{event}"' not in sources} == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_file_that_is_named_exists(name: str) -> None:
    folders = ("mealshare/", "tests/", "scripts/", "alembic/", "docs/", "core/", "features/", "web/", "api/", "cli/")
    for span in code_spans(ROOT / name):
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", span) or not span.startswith(folders):
            continue
        assert any((base / span).exists() for base in (ROOT, ROOT / "mealshare")), f"{name} names {span}"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_exists(name: str) -> None:
    page = ROOT / name
    lines = [span for span in code_spans(page) if span.startswith("mealshare ")]
    lines += [line for block in blocks(page) if block.kind == "sh" for line in block.text.splitlines()]
    for line in lines:
        found = re.search(r"(?:^|[/\s$(])mealshare (-c \S+ )?([a-z][a-z-]*)(?: ([a-z-]+))?", line)
        if found is None:
            continue
        group = command.commands.get(found[2])
        assert group is not None, f"{name}: {line}"
        if isinstance(group, click.Group) and found[3]:
            assert found[3] in group.commands, f"{name}: {line}"


def test_every_address_of_the_api_exists(registry_of_docs: Any) -> None:
    patterns = [
        re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(route.pattern)))
        for route in registry_of_docs["api_routes"].values()
    ]
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"/api/[a-z$][\w/{}$.-]*", text)) - {"/api/v1", "/api/v2"}
    assert len(named) > 15
    for address in named:
        path = re.sub(r"\$\{photo\.id\}?|\$[A-Z]+", "1", address.rstrip("./"))
        assert any(pattern.fullmatch(path) for pattern in patterns), address


def test_every_request_in_a_table_is_an_operation(registry_of_docs: Any) -> None:
    operations = {
        (method, re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(route.pattern))))
        for name, route in registry_of_docs["api_routes"].items()
        for method in allowed_methods(registry_of_docs, name)
    }
    rows = re.findall(r"^\| (`[A-Z]+[^|]*`[^|]*) \|", (ROOT / "docs/api.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = 0
    for row in rows:
        methods = re.findall(r"\b(GET|PUT|POST|PATCH|DELETE)\b", row)
        for address in re.findall(r"/api/[\w/{}-]+", row):
            for method in methods:
                assert any(method == known and pattern.fullmatch(address) for known, pattern in operations), row
                named += 1
    assert named > 15


def test_every_address_of_a_page_exists(registry_of_docs: Any) -> None:
    """Of those that stand in the prose as `/want` or `/@{username}/feed.atom`; the API's own are looked at above."""
    patterns = [
        re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(intro["pattern"])))
        for intro in (item["introspectable"] for item in registry_of_docs.introspector.get_category("routes"))
    ]
    named = 0
    for page in PAGES:
        for span in code_spans(page):
            address = span.removeprefix("GET ").removeprefix("POST ").partition("?")[0]
            if not re.fullmatch(r"/[\w@{}/.-]*", address) or address.startswith(
                ("/api", "/run/", "/etc/", "/srv/", "/64")
            ):
                continue
            if address == PATH:
                continue  # Is answered before there are routes.
            path = re.sub(r"\{[^}]*\}", "1", address)
            assert any(pattern.fullmatch(path) for pattern in patterns), f"{page.name} names {address}"
            named += 1
    assert named > 15


def test_the_table_of_limits_says_the_defaults(registry_of_docs: Any) -> None:
    defaults = {item.name: item.default for item in registry_of_docs["settings_declared"]}
    rows = re.findall(
        r"^\| `((?:ratelimit|media|server|auth|jwt)\.\w+)` \| ([^|]+) \|",
        (ROOT / "docs/hosting.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert {name for name in defaults if name.startswith("ratelimit.")} <= {name for name, _ in rows} | {
        # What is no limit: where and whether they are counted.
        "ratelimit.enabled",
        "ratelimit.backend",
        "ratelimit.url",
        "ratelimit.prefix",
        "ratelimit.timeout",
    }
    for name, value in rows:
        assert str(defaults[name]) == value.replace(",", "").strip(), name


def test_the_architecture_stays_short_enough_to_be_read() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) < 400


# ---- Examples


@pytest.fixture(scope="module")
def documented_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A fresh site with the settings that the examples expect."""
    folder = tmp_path_factory.mktemp("documented")
    with new_database("sqlite", folder) as url:
        upgrade(url)
        with running_site(folder, url, **AS_IN_DEVELOPMENT) as site:
            yield site


@pytest.fixture(scope="module")
def answers(documented_site: RunningSite, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Block, Block, str]]:
    """Each shell block of docs/api.md with the block behind it and what it printed; all ran in one shell, in order."""
    for program in ("bash", "curl"):
        if shutil.which(program) is None:
            left_out(f"the examples of docs/api.md: install {program}")
    folder = tmp_path_factory.mktemp("examples")
    (folder / "lunch.jpg").write_bytes(draw())
    page = blocks(ROOT / "docs/api.md")
    script = ["set -euo pipefail"]
    for number, block in enumerate(page):
        if block.kind == "sh":
            script.append(f"{{\n{block.text.replace(DOCUMENTED, documented_site.url)}}} > output-{number}")
    environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    command_line = ["bash", "-c", "\n".join(script)]
    ran = subprocess.run(command_line, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)
    written = [int(path.name.partition("-")[2]) for path in folder.glob("output-*")]
    last = page[max(written)].text if written else ""
    assert ran.returncode == 0, f"{ran.stderr}\nin:\n{last}\n{documented_site.log[-3000:]}"
    nothing = Block("", "")
    following = [*page[1:], nothing]
    return [
        (block, following[number], (folder / f"output-{number}").read_text(encoding="utf-8"))
        for number, block in enumerate(page)
        if block.kind == "sh"
    ]


def test_the_examples_of_the_api_run(answers: list[tuple[Block, Block, str]]) -> None:
    assert len(answers) > 20


def test_the_examples_answer_as_printed(answers: list[tuple[Block, Block, str]], documented_site: RunningSite) -> None:
    compared = 0
    for block, printed, output in answers:
        output = output.replace(documented_site.url, DOCUMENTED)
        if printed.kind == "json":
            assert_same_shape(json.loads(output), json.loads(printed.text), block.text)
            compared += 1
        elif printed.kind == "text":
            wanted, got = printed.text.splitlines(), [line.rstrip() for line in output.splitlines()]
            assert len(wanted) == len(got), (block.text, got)
            for expected, line in zip(wanted, got, strict=True):
                pattern = re.escape(expected).replace(re.escape(ANYTHING), ".*")
                assert re.fullmatch(pattern, line), (block.text, line)
            compared += 1
    assert compared > 12


#: Values that must be printed as they are; of the others only the kind counts.
EXACT = frozenset({
    "type", "title", "status", "code", "detail", "pointer", "parameter", "instance", "food", "note", "note_html",
    "meal_type", "eaten_at", "eaten_on", "time_zone", "visibility", "username", "token_type", "expires_in", "scope", "state",
    "width", "height", "name", "version", "description", "own", "can_edit", "can_delete", "liked", "wanted", "ate_too",
    "following", "requested", "followed_by", "requested_by", "muting", "locked", "followers_count", "following_count",
    "comments_closed", "likes_count", "comments_count", "ate_too_count", "mode", "avoid", "avoided", "not_declared",
    "count", "read", "like", "comment", "mention", "follow", "follow_request", "changed", "year", "total",
})  # fmt: skip


def assert_same_shape(got: Any, printed: Any, where: str, member: str = "") -> None:
    """Both have the same members of the same kinds, and the same values where these never differ."""
    assert type(got) is type(printed), (where, member, got, printed)
    if isinstance(got, dict):
        assert list(got) == list(printed), (where, member)
        for name in got:
            assert_same_shape(got[name], printed[name], where, name)
    elif isinstance(got, list):
        assert len(got) == len(printed), (where, member)
        for one, other in zip(got, printed, strict=True):
            assert_same_shape(one, other, where, member)
    elif member in EXACT:
        assert got == printed, (where, member)


def test_the_comparison_of_answers_can_fail() -> None:
    printed = {"status": 404, "id": "1", "errors": [{"code": "missing"}]}
    assert_same_shape({"status": 404, "id": "2", "errors": [{"code": "missing"}]}, printed, "")
    for wrong in (
        {"status": 400, "id": "1", "errors": [{"code": "missing"}]},
        {"status": 404, "id": 1, "errors": [{"code": "missing"}]},
        {"status": 404, "id": "1", "errors": []},
        {"status": 404, "id": "1"},
    ):
        with pytest.raises(AssertionError):
            assert_same_shape(wrong, printed, "")


def _only(kind: str) -> str:
    [block] = [block for block in blocks(ROOT / "docs/api.md") if block.kind == kind]
    return block.text


@pytest.mark.usefixtures("answers")
def test_the_python_example_runs(documented_site: RunningSite) -> None:
    source = _only("python").replace(DOCUMENTED, documented_site.url)
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    location, listed = ran.stdout.splitlines()
    assert location.startswith(f"{documented_site.url}/api/meals/")
    assert "Tea eggs" in listed
    assert 'rel="next"' in listed


@pytest.mark.browser
@pytest.mark.usefixtures("answers")
def test_the_javascript_example_runs(chromium: str, documented_site: RunningSite) -> None:
    upload = (
        "const drawn = await new Promise((done) => Object.assign(document.createElement('canvas'),"
        " { width: 40, height: 30 }).toBlob(done, 'image/png'));"
        "const photo = await api.upload(drawn, 'Nothing yet.');"
        # As after a quarter of an hour: both requests must wait for one refresh.
        "let refreshes = 0;"
        "api.refresh = ((refresh) => function () { refreshes += 1; return refresh.call(this); })(api.refresh);"
        "const fetched = window.fetch; let stale = 2;"
        "window.fetch = (address, options) => stale-- > 0 ? Promise.resolve(new Response(JSON.stringify("
        "{ type: '/problems/token_expired', detail: '' }), { status: 401 })) : fetched(address, options);"
        "const both = await Promise.all([api.json('GET', '/api/user/profile'), api.json('GET', '/api/user/profile')]);"
        "return [meal, photo, refreshes, both.map((profile) => profile.username)];"
    )
    source = _only("js").replace(DOCUMENTED, documented_site.url)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page()
        page.goto(f"{documented_site.url}/about")
        meal, photo, refreshes, names = page.evaluate(f"async () => {{ {source}\n{upload} }}")
        browser.close()
    assert [tag["name"] for tag in meal["tags"]] == ["noodles"]
    assert (photo["state"], photo["width"], photo["description"]) == ("ready", 40, "Nothing yet.")
    assert (refreshes, names) == (1, ["mei_lin", "mei_lin"])


# ---- What a host is told


def test_the_wheel_holds_what_a_site_needs(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "dist"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("mealshare", "alembic"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    # Without isolation nothing is fetched: the setuptools of this environment is one that the package allows.
    build = [sys.executable, "-W", "ignore", "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    ran = subprocess.run([*build, "-w", str(target), "."], cwd=source, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    [wheel] = target.glob("mealshare-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    needed = {
        str(path.relative_to(source))
        for path in (source / "mealshare").rglob("*")
        if path.is_file() and path.suffix not in (".po", ".md")
    }
    needed |= {f"mealshare/{path.relative_to(source)}" for path in (source / "alembic").rglob("*.*") if path.is_file()}
    assert needed - packed == set()


def test_the_code_blocks_of_the_pages_name_their_language() -> None:
    for page in PAGES:
        assert [block.text for block in blocks(page) if not block.kind] == [], page
