"""Accounts: making them, and changing what they say and what they may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from mealshare.core.errors import FieldError, InputInvalid, NotFound
from mealshare.core.ids import new_id
from mealshare.core.security.identity import Role
from mealshare.core.security.passwords import hash_password
from mealshare.core.text import extract_mentions, render_note, tag_path
from mealshare.core.work import Work
from mealshare.features.accounts import checks, queries, queries_access
from mealshare.features.accounts.events import AccountRegistered, ProfileChanged, RoleChanged
from mealshare.features.accounts.models import LOCAL, Account, User
from mealshare.features.accounts.service_sessions import end_all_access

#: A name in the words about oneself costs a look-up only so many times.
_MAX_MENTIONS = 50


@dataclass(frozen=True)
class NewAccount:
    """An account to be made, all of it checked; the password is hashed already, which takes longer than a write may."""

    username: str
    email: str
    password_hash: str
    locale: str | None = None
    time_zone: str = "UTC"
    role: Role = Role.USER


class AccountService:
    """Writes accounts in the transaction of ``work``; ``base_url`` is where the site is, without a slash at the end."""

    def __init__(self, work: Work, base_url: str) -> None:
        self.work = work
        self.base_url = base_url

    def create(self, new: NewAccount) -> queries_access.Credentials:
        """Make the account; its display name is the username until the person chooses another.

        Raises InputInvalid with ``username_taken`` or ``email_unusable`` when somebody else has it, be it since a
        moment ago: the unique indexes decide, and the transaction can go on.
        """
        account = Account(
            id=new_id(),
            username=new.username,
            display_name=new.username,
            uri=f"{self.base_url}/users/{new.username}",
            url=f"{self.base_url}/@{new.username}",
        )
        user = User(
            id=account.id, account=account, email=new.email, password_hash=new.password_hash, role=new.role,
            locale=new.locale, time_zone=new.time_zone,
        )  # fmt: skip
        session = self.work.session
        try:
            with session.begin_nested():
                session.add_all((account, user))
        except IntegrityError:
            raise self._clash(new) from None
        self.work.publish(AccountRegistered(account.id, account.username))
        return queries_access.Credentials(
            account.id, account.username, account.display_name, None, account.url, new.email, new.password_hash,
            new.role, new.locale, new.time_zone, user.generation, suspended=False,
        )  # fmt: skip

    def change_profile(self, account_id: int, changes: Mapping[str, Any]) -> None:
        """Change what ``changes`` names (those of `ProfilePatch`, all checked before).

        None, or nothing, puts back what a new account has.  Raises NotFound when the account is gone.
        """
        session = self.work.session
        account = session.get(Account, account_id, with_for_update={"key_share": True})
        user = session.get(User, account_id)
        if account is None or user is None:
            raise NotFound
        if "locale" in changes:
            user.locale = changes["locale"]
        if "time_zone" in changes:
            user.time_zone = changes["time_zone"] or "UTC"
        before = (account.display_name, account.bio)
        if "display_name" in changes:
            account.display_name = changes["display_name"] or account.username
        if "bio" in changes:
            account.bio = changes["bio"] or ""
            account.bio_html = self._render(account.bio)
        if "locked" in changes:
            account.locked = bool(changes["locked"])
        if account.display_name != before[0]:
            # Counted by the database: two changes at once must not end with one version.
            account.version = Account.version + 1
        if (account.display_name, account.bio) != before:
            self.work.publish(ProfileChanged(account_id))
        session.flush()

    def set_locale(self, account_id: int, locale: str) -> None:
        """The language in which the site speaks to the person from now on."""
        self.work.session.execute(update(User).where(User.id == account_id).values(locale=locale))

    def set_role(self, username: str, role: Role) -> None:
        """Give the person that role; every session and token ends, so that none goes on with the old one.

        Raises NotFound when there is nobody of that name.
        """
        session = self.work.session
        found = session.scalar(
            select(Account.id)
            .join(User, User.id == Account.id)
            .where(func.lower(Account.username) == username.lower(), Account.domain == LOCAL)
        )
        if found is None:
            raise NotFound
        session.execute(update(User).where(User.id == found).values(role=role, generation=User.generation + 1))
        end_all_access(self.work, found)
        self.work.publish(RoleChanged(found, role))

    def _clash(self, new: NewAccount) -> InputInvalid:
        taken = queries.is_username_taken(self.work.connection, new.username)
        return InputInvalid.of("username", "username_taken") if taken else InputInvalid.of("email", "email_unusable")

    def _render(self, bio: str) -> str:
        urls = queries.person_urls(self.work.connection, extract_mentions(bio)[:_MAX_MENTIONS])
        return render_note(
            bio,
            tag_url=lambda key: self.base_url + tag_path(key),
            mention_url=lambda name: urls.get(name.lower()),
        ).html


def create_user(
    work: Work, base_url: str, *, username: str, email: str, password: str, role: Role = Role.USER,
    locale: str | None = None, time_zone: str = "UTC",
) -> queries_access.Credentials:  # fmt: skip
    """Make an account from what an administrator typed; nobody becomes an administrator in any other way.

    Raises InputInvalid with all that is wrong.  Give a fresh ``work``: its transaction begins after the hashing.
    """
    errors: list[FieldError] = []

    def checked(field: str, check: Any, value: str, **known: str) -> str:
        try:
            return str(check(value, **known))
        except checks.Refused as refused:
            errors.append(FieldError(field, refused.code, refused.params))
            return ""

    name = checked("username", checks.check_username, username)
    address = checked("email", checks.check_email, email)
    checked("password", checks.check_new_password, password, username=name, email=address)
    zone = checked("time_zone", checks.check_time_zone, time_zone)
    if locale is not None:
        checked("locale", checks.check_locale, locale)
    if errors:
        raise InputInvalid(*errors)
    new = NewAccount(name, address, hash_password(password), locale, zone, role)
    return AccountService(work, base_url).create(new)


def set_role(work: Work, base_url: str, username: str, role: Role) -> None:
    """Give the person that role, as `AccountService.set_role`."""
    AccountService(work, base_url).set_role(username, role)
