"""What commands and jobs do with accounts, and what others are told of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from mealshare.core import clock
from mealshare.core.errors import InputInvalid, NotFound
from mealshare.core.jobs import run_due
from mealshare.core.jobs.models import Job
from mealshare.core.mail import MailFailed, Message
from mealshare.core.security.identity import AuthMethod, Role
from mealshare.features.accounts import mails, queries_access
from mealshare.features.accounts.events import AccountRegistered, PasswordChanged, ProfileChanged, RoleChanged, SignedIn
from mealshare.features.accounts.mails import Letters
from mealshare.features.accounts.models import Grant, PasswordReset, RefreshToken, Session, User
from mealshare.features.accounts.service import create_user, set_role
from tests.features.accounts.site import BASE, NEW_PASSWORD, Browser, Site
from tests.people import PASSWORD


@pytest.fixture
def heard(site: Site) -> Iterator[list[Any]]:
    """The events that are published."""
    events: list[Any] = []

    def listen(work: Any, event: Any) -> None:
        events.append(event)

    bus = site.registry["events"]
    kinds = (AccountRegistered, PasswordChanged, ProfileChanged, RoleChanged, SignedIn)
    for kind in kinds:
        bus.subscribe(kind, listen)
    yield events
    for kind in kinds:
        bus.handlers[kind].remove(listen)


def create(site: Site, **given: Any) -> queries_access.Credentials:
    """Make an account as the command does."""
    known = {"username": "root_of_all", "email": "r@example.org", "password": PASSWORD} | given
    with site.registry["open_work"]() as work:
        return create_user(work, BASE, **known)


def test_a_command_makes_an_administrator(site: Site, browser: Browser) -> None:
    person = create(site, username="Grace", role=Role.ADMIN)
    assert person.role is Role.ADMIN
    assert site.execute(select(User.role)) == [("admin",)]
    assert browser.sign_in("grace").status_int == 303


def test_the_first_who_registers_is_no_administrator(site: Site, browser: Browser) -> None:
    browser.fill("/register", username="first", email="first@example.org", password=PASSWORD)
    assert site.execute(select(User.role)) == [("user",)]


def test_a_command_hears_all_that_is_wrong(site: Site) -> None:
    with pytest.raises(InputInvalid) as invalid:
        create(site, username="admin", email="x", password="short", time_zone="Nowhere", locale="tlh")
    assert {(error.field, error.code) for error in invalid.value.errors} == {
        ("username", "username_reserved"), ("email", "bad_email"), ("password", "too_short"),
        ("time_zone", "bad_time_zone"), ("locale", "not_a_choice"),
    }  # fmt: skip
    assert site.execute(select(func.count()).select_from(User)) == [(0,)]


def test_a_command_hears_that_somebody_has_it_already(site: Site) -> None:
    site.user("ada")
    with pytest.raises(InputInvalid) as invalid:
        create(site, username="ADA")
    assert invalid.value.errors[0].code == "username_taken"


def test_nobody_of_that_name_gets_no_role(site: Site) -> None:
    with pytest.raises(NotFound), site.registry["open_work"]() as work:
        set_role(work, BASE, "nobody", Role.ADMIN)


def test_others_are_told(site: Site, browser: Browser, heard: list[Any]) -> None:
    browser.fill("/register", username="ada", email="ada@example.org", password=PASSWORD)
    [(account_id,)] = site.execute(select(User.id))
    site.tokens()
    browser.fill("/settings/profile", bio="new", time_zone="Asia/Tokyo")
    browser.fill("/settings/profile", time_zone="Asia/Shanghai")
    browser.fill("/settings/password", current_password=PASSWORD, new_password=NEW_PASSWORD, again=NEW_PASSWORD)
    with site.registry["open_work"]() as work:
        set_role(work, BASE, "ada", Role.MODERATOR)
    assert heard == [
        AccountRegistered(account_id, "ada"),
        SignedIn(account_id, AuthMethod.SESSION),
        SignedIn(account_id, AuthMethod.BEARER),
        ProfileChanged(account_id),
        PasswordChanged(account_id),
        SignedIn(account_id, AuthMethod.SESSION),
        RoleChanged(account_id, Role.MODERATOR),
    ]


def sweep(site: Site) -> None:
    """Run the hourly job now."""
    with site.registry["open_work"]() as work:
        work.enqueue("accounts.sweep", {})
    run_due(site.registry)


def test_the_sweep_takes_what_has_expired_and_nothing_else(site: Site, browser: Browser) -> None:
    site.user("ada")
    browser.sign_in()
    site.browser().sign_in()
    site.browser().sign_in()
    for _ in range(3):
        site.tokens()
    browser.fill("/password/forgot", email="ada@example.org")
    site.run_jobs()
    sweep(site)
    counts = [
        site.execute(select(func.count()).select_from(model)) for model in (Session, Grant, RefreshToken, PasswordReset)
    ]
    assert counts == [[(3,)], [(3,)], [(3,)], [(1,)]]
    now = clock.now()
    sessions = [row[0] for row in site.execute(select(Session.id).order_by(Session.id))]
    grants = [row[0] for row in site.execute(select(Grant.id).order_by(Grant.id))]
    site.execute(update(Session).where(Session.id == sessions[0]).values(expires_at=now - timedelta(seconds=1)))
    site.execute(update(Session).where(Session.id == sessions[1]).values(last_seen_at=now - timedelta(days=8)))
    site.execute(update(Grant).where(Grant.id == grants[0]).values(expires_at=now - timedelta(seconds=1)))
    site.execute(
        update(RefreshToken).where(RefreshToken.grant_id == grants[1]).values(expires_at=now - timedelta(seconds=1))
    )
    site.execute(update(PasswordReset).values(expires_at=now - timedelta(seconds=1)))
    sweep(site)
    assert site.execute(select(Session.id)) == [(sessions[2],)]
    assert sorted(site.execute(select(Grant.id))) == [(grants[1],), (grants[2],)]
    assert site.execute(select(RefreshToken.grant_id)) == [(grants[2],)]
    assert site.execute(select(func.count()).select_from(PasswordReset)) == [(0,)]


def test_a_used_token_outlives_the_sweep_so_that_a_second_use_is_noticed(site: Site) -> None:
    site.user("ada")
    first = site.tokens()
    second = site.browser().post_json("/api/token/refresh", {"refresh_token": first["refresh_token"]}).json
    sweep(site)
    answer = site.browser().post_json("/api/token/refresh", {"refresh_token": first["refresh_token"]}, status=401)
    assert answer.json["type"].endswith("/refresh_token_reused")
    site.browser().get("/api/user/profile", headers={"Authorization": f"Bearer {second['access_token']}"}, status=401)


class FailingMailer:
    """A mailer whose server is away."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        """Note the message, and fail."""
        self.messages.append(message)
        raise MailFailed("the server is away")


def test_a_mail_that_fails_is_tried_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    mailer = FailingMailer()
    with site.registry["open_work"]() as work:
        work.enqueue("mail.send", {"to": "ada@example.org", "subject": "Hello", "text": "You"})
    with monkeypatch.context() as patch:
        patch.setitem(site.registry, "mailer", mailer)
        run_due(site.registry)
    assert mailer.messages == [Message("ada@example.org", "Hello", "You")]
    assert site.execute(select(Job.name, Job.attempts)) == [("mail.send", 1)]
    site.execute(update(Job).values(run_at=clock.now()))
    assert [subject for _, subject, _ in site.mails()] == ["Hello"]


def test_letters_are_in_the_language_of_their_reader(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def translate(message: str, locale: str, mapping: Any = None) -> str:
        asked.append(locale)
        return message

    monkeypatch.setattr(mails, "translate", translate)
    letters = Letters("MealShare", BASE, "en")
    letters.reset(site.user("ada", locale="zh_CN"), "token", 30)
    assert set(asked) == {"zh_CN"}
    asked.clear()
    letters.reset(site.user("eve"), "token", 30)
    assert set(asked) == {"en"}
