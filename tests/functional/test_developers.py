"""The page for developers: what it says of this site is what this site does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup
from pyramid.router import Router
from webtest import TestApp

from mealshare import configure
from mealshare.api.cors import CorsSettings
from mealshare.api.problems import problem_types
from mealshare.core.ratelimit import RateLimitSettings, limits_of
from mealshare.core.settings import SettingsError
from mealshare.features.accounts.rules import Scope
from mealshare.features.developers import html
from mealshare.features.developers.settings import DevelopersSettings
from mealshare.features.developers.vocabulary import LIMITS, SCOPES
from tests.functional.hostile import TEXTS, XSS
from tests.functional.hostile_pages import check_page
from tests.functional.hostile_requests import browser_of, send, visitor
from tests.sites import site_settings

ROOT = Path(__file__).resolve().parents[2]


def test_what_the_page_says(app: TestApp, registry: Any, rate_limits: Any) -> None:
    page = app.get("/developers")
    soup = check_page(page.text, "/developers")
    text = " ".join(soup.get_text().split())
    # The table of problems is that of the site, and each of its links explains one.
    table = soup.select_one(".developers__problems table")
    assert table is not None
    listed = {str(link["href"]).rpartition("/")[2] for link in table.select("a")}
    assert listed == set(problem_types(registry))
    assert "${" not in table.get_text() and "…" in table.get_text()
    # Samples speak to this site.
    samples = soup.select(".sample[data-lang]")
    assert len(samples) == 3 * len(html.SAMPLES)
    assert html.PLACEHOLDER not in text
    assert 'base_url="http://localhost"' in text and 'const site = "http://localhost"' in text
    # Everything in the list of contents is there.
    targets = [str(link["href"])[1:] for link in soup.select(".developers__toc a")]
    assert len(targets) > 10
    assert [target for target in targets if soup.find(id=target) is None] == []
    for address in ("/docs", "/api", "/openapi.json", "/register"):
        assert soup.select_one(f'a[href="{address}"]') is not None
        assert app.get(address).status_int == 200
    assert [scope.value for scope in Scope if scope.value not in text] == []
    assert "Cookie" in page.headers["Vary"] and "public" not in page.headers["Cache-Control"]


def test_the_tables_have_words_for_all_there_is(registry: Any) -> None:
    """A new scope or limit has to be explained here too."""
    assert set(SCOPES) == set(Scope)
    assert set(LIMITS) == set(limits_of(RateLimitSettings()))


def test_the_limits_are_those_of_the_site(registry: Any, monkeypatch: pytest.MonkeyPatch, app: TestApp) -> None:
    assert "counts no requests" in app.get("/developers").text
    monkeypatch.setitem(registry["settings"], RateLimitSettings, RateLimitSettings(api="77/2 hours"))
    page = app.get("/developers")
    assert "77 in 2 hours" in page.text and "counts no requests" not in page.text


@pytest.mark.parametrize(
    ("settings", "asked", "granted", "says"),
    [
        (CorsSettings(), "", None, "no script of another origin"),
        (CorsSettings(), "https://app.example", False, "may not call"),
        (CorsSettings(origins=("https://app.example",)), " https://app.example/ ", True, "may call this API"),
        (CorsSettings(origins=("https://app.example",)), "https://app.example.evil.example", False, "may not call"),
        (CorsSettings(allow_all=True), "https://whoever.example", True, "every origin"),
    ],
)
def test_who_may_call_from_another_origin(
    app: TestApp, registry: Any, monkeypatch: pytest.MonkeyPatch, settings: CorsSettings, asked: str, granted: bool | None, says: str
) -> None:  # fmt: skip
    monkeypatch.setitem(registry["settings"], CorsSettings, settings)
    assert html.cors(registry, asked).granted is granted
    page = app.get(f"/developers?origin={quote(asked)}")
    assert says in " ".join(page.html.get_text().split())


def test_whatever_is_asked_stays_text(wsgi_app: Router, registry: Any) -> None:
    for text in (*(payload.encode() for payload in XSS), *TEXTS):
        answer = send(wsgi_app, "GET", f"/developers?origin={quote(text)}", visitor())
        assert answer.status in (200, 400), text
        check_page(answer.text, repr(text))


def test_it_costs_a_visitor_no_statement(
    wsgi_app: Router, registry: Any, make_user: Any, count_statements: Any
) -> None:
    reader = browser_of(registry, make_user("reader").account_id)
    for who, most in ((visitor(), 0), (reader, 1)):
        send(wsgi_app, "GET", "/developers", who)
        with count_statements() as statements:
            assert send(wsgi_app, "GET", "/developers", who).status == 200
        assert len(statements) == most, statements


def test_every_page_leads_to_it(app: TestApp) -> None:
    assert app.get("/about").html.select_one('footer a[href="/developers"]') is not None


def test_the_change_log_is_that_of_the_changelog() -> None:
    spec = importlib.util.spec_from_file_location("api_changes", ROOT / "scripts/api_changes.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    wanted = script.api_changes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert script.COPY.read_text(encoding="utf-8") == wanted, "run python scripts/api_changes.py"
    releases = html.releases()
    assert releases[0].name == "Unreleased" or re.match(r"\d", releases[0].name)
    assert all(release.items for release in releases)
    assert len(wanted.split("\n- ")) - 1 == sum(len(release.items) for release in releases)


def test_the_change_log_is_escaped() -> None:
    [release] = html._releases(
        "head\n\n## [1.0.0]\n\n- **`a` <b>**: `x<y` & [words](https://x.example)\n  more\n- two (contract\n  `1a2b3c4d`)\n"
    )
    assert release.name == "1.0.0"
    assert release.items == [
        "<strong>`a` &lt;b&gt;</strong>: <code>x&lt;y</code> &amp; words more",
        "two",
    ]


def test_a_source_that_is_no_address_stops_the_boot(tmp_path: Path) -> None:
    settings = site_settings(tmp_path, f"sqlite:///{tmp_path}/none.sqlite", "http://localhost") | {
        "db.check_revision": "false"
    }
    with pytest.raises(SettingsError, match="developers.source"):
        configure(settings | {"developers.source": "javascript:alert(1)"})


def test_the_source_is_offered_where_the_host_names_it(
    app: TestApp, registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        registry["settings"], DevelopersSettings, DevelopersSettings(source="https://code.example/mealshare")
    )
    assert app.get("/developers").html.select_one('a[href="https://code.example/mealshare"]') is not None


def test_a_language_without_a_sample_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "program", lambda language: "#: one\nx" if language != "javascript" else "//: two\ny")
    with pytest.raises(ValueError, match="one, two"):
        html.read_samples()


def test_strings_and_comments_of_samples_are_marked() -> None:
    text = 'url = "https://meals.example/#x"  # the <site>'
    marked = BeautifulSoup(
        f"<pre>{html.coloured(html.Sample('python', 'Python', text), 'https://a.example')}</pre>", "html.parser"
    )
    assert marked.get_text() == 'url = "https://a.example/#x"  # the <site>'
    assert [span.get_text() for span in marked.select(".code__comment")] == ["# the <site>"]
    assert [span.get_text() for span in marked.select(".json__text")] == ['"https://a.example/#x"']
