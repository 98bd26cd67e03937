"""The site of the tests with what tests of accounts ask of it: browsers, programs, mails, rows."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from pyramid.router import Router
from sqlalchemy.sql.dml import UpdateBase
from webtest import TestApp, TestResponse

from mealshare.core.jobs import run_due
from mealshare.core.security.identity import Role
from mealshare.features.accounts.queries_access import Credentials
from mealshare.features.accounts.service import create_user
from tests.people import PASSWORD

BASE = "http://localhost"
NEW_PASSWORD = "four dumplings before noon"
PROFILE = "/api/user/profile"
FIREFOX = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"


class Site:
    """The application and what stands behind it."""

    def __init__(self, wsgi_app: Router, folder: Path) -> None:
        self.wsgi = wsgi_app
        self.registry = wsgi_app.registry
        self.folder = folder

    def browser(self, **environ: str) -> Browser:
        """Somebody's browser, with no cookies yet."""
        return Browser(self.wsgi, extra_environ={"REMOTE_ADDR": "192.0.2.1"} | environ)

    def user(self, username: str = "ada", role: Role = Role.USER, **more: Any) -> Credentials:
        """A person with an account."""
        with self.registry["open_work"]() as work:
            return create_user(
                work, BASE, username=username, email=f"{username}@example.org", password=PASSWORD, role=role, **more
            )

    def tokens(self, username: str = "ada", password: str = PASSWORD) -> dict[str, Any]:
        """What a program gets for name and password."""
        credentials = {"username": username, "password": password}
        answer: dict[str, Any] = self.browser().post_json("/api/login", credentials).json
        return answer

    def execute(self, statement: Any) -> list[Any]:
        """Run a statement, commit, and give back the rows, if it has any."""
        with self.registry["open_work"]() as work:
            result = work.session.execute(statement)
            return [] if isinstance(statement, UpdateBase) else list(result.all())

    def run_jobs(self) -> None:
        """Do what is left to do."""
        run_due(self.registry)

    def mails(self) -> list[tuple[str, str, str]]:
        """Recipient, subject and text of every mail, in order, after the jobs have run."""
        self.run_jobs()
        paths = sorted((self.folder / "mail").glob("*.eml"))
        mails = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]
        return [(mail["To"], mail["Subject"], mail.get_content()) for mail in mails]


class Browser(TestApp):
    """A browser: fills in forms as a person would, and keeps cookies."""

    def fill(self, page: str, action: str | None = None, **fields: str) -> TestResponse:
        """Open the page, fill in its form (the one that posts to ``action``) and send it."""
        response = self.get(page)
        target = action or page.partition("?")[0]
        form = next(form for form in response.forms.values() if form.action == target)
        for name, value in fields.items():
            form[name] = value
        return form.submit(expect_errors=True)

    def sign_in(self, username: str = "ada", password: str = PASSWORD) -> TestResponse:
        """Sign in by the form."""
        return self.fill("/login", login=username, password=password)

    def is_signed_in(self) -> bool:
        """Whether the site knows who this is."""
        return self.get("/settings/profile", expect_errors=True).status_int == 200

    @property
    def session(self) -> str | None:
        """The session cookie."""
        value: str | None = self.cookies.get("session")
        return value


def bearer(token: str) -> dict[str, str]:
    """The header with the token."""
    return {"Authorization": f"Bearer {token}"}


def link_in(text: str) -> str:
    """The path of the first link in a mail."""
    found = re.search(rf"{BASE}(/\S+)", text)
    assert found is not None, text
    return found[1]


def code_of(answer: Any) -> str:
    """The problem code of an answer, and its form checked."""
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == answer.status_int
    return str(answer.json["type"]).removeprefix(f"{BASE}/problems/")


def refused(site: Site, token: str) -> str | None:
    """Why an access token does not count, or None if it does."""
    answer = site.browser().get(PROFILE, headers=bearer(token), expect_errors=True)
    if answer.status_int == 200:
        return None
    assert answer.status_int == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    return code_of(answer)


def refresh(site: Site, token: str) -> Any:
    """Use a refresh token."""
    return site.browser().post_json("/api/token/refresh", {"refresh_token": token}, expect_errors=True)


@pytest.fixture
def site(wsgi_app: Router, registry: Any, site_folder: Path) -> Site:
    """The site, empty; the limits are off unless the test asks for ``rate_limits``."""
    return Site(wsgi_app, site_folder)


@pytest.fixture
def browser(site: Site) -> Browser:
    """A browser with no cookies yet."""
    return site.browser()
