"""Signing up: what is asked before an account is written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import Connection

from mealshare.core.errors import Forbidden, InputInvalid, TooMany
from mealshare.core.ratelimit import RateLimiter, address_key
from mealshare.core.security.passwords import hash_password
from mealshare.core.work import Work
from mealshare.features.accounts import queries, queries_access
from mealshare.features.accounts.mails import Letters
from mealshare.features.accounts.service import NewAccount


@dataclass(frozen=True)
class Application:
    """What somebody wants to be registered with; each value has been checked by itself."""

    username: str
    email: str
    password: str
    locale: str | None
    time_zone: str


@dataclass(frozen=True)
class Registration:
    """Decides about applications.

    ``connection`` reads; ``open_work`` opens a transaction of its own for the one mail that must be sent although the
    answer is an error; ``policy`` is the setting ``site.registration``.

    That a *username* is taken is no secret: profiles are public.  Whether an *e-mail address* has an account is one.
    Without a mail that confirms the address before the account exists, which would put a step between a visitor's first
    meal and its publication, it cannot be hidden from one who is ready to leave accounts behind for it.  So the answer
    to a used address is the neutral ``email_unusable``; the owner of the address hears of it by mail; and each question
    costs one of the few registrations that an address is allowed.
    """

    connection: Connection
    limiter: RateLimiter
    open_work: Callable[[], AbstractContextManager[Work]]
    letters: Letters
    policy: str

    def check_open(self) -> None:
        """Raise Forbidden ``registration_closed`` unless anybody may sign up."""
        if self.policy != "open":
            raise Forbidden("registration_closed")

    def accept(self, wanted: Application, address: str) -> NewAccount:
        """The account to be made for somebody at ``address``; slow, because the password is hashed here.

        Raises Forbidden, InputInvalid (``username_taken``, ``email_unusable``) or TooMany.
        """
        self.check_open()
        # First what anybody may know and what costs nothing, so that choosing among taken names uses up no limit.
        if queries.is_username_taken(self.connection, wanted.username):
            raise InputInvalid.of("username", "username_taken")
        decision = self.limiter.hit("signup", address_key(address))
        if not decision.allowed:
            raise TooMany(decision.retry_after, decision.limit)
        owner = queries_access.credentials(self.connection, wanted.email)
        # Hashed in either case: the time would tell, too.
        password_hash = hash_password(wanted.password)
        if owner is not None:
            self._warn(owner)
            raise InputInvalid.of("email", "email_unusable")
        return NewAccount(wanted.username, wanted.email, password_hash, wanted.locale, wanted.time_zone)

    def _warn(self, owner: queries_access.Credentials) -> None:
        if not owner.suspended and self.limiter.hit("reset", "signup", owner.email.lower()).allowed:
            with self.open_work() as work:
                self.letters.signup_attempt(work, owner)
