"""Sessions of browsers: rows that the cookie's random id leads to, so that ending one ends it at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Update, delete, insert, or_, select, update

from mealshare.core import clock
from mealshare.core.ids import new_id
from mealshare.core.security.identity import AuthMethod
from mealshare.core.security.tokens import hash_token, new_token
from mealshare.core.work import Work
from mealshare.features.accounts.events import AccessEnded, SignedIn
from mealshare.features.accounts.models import Grant, PasswordReset, PersonalToken, RefreshToken, Session, User
from mealshare.features.accounts.service_login import BadCredentials
from mealshare.features.accounts.settings import AuthSettings

#: How long a personal token that has expired is still listed.
EXPIRED_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Client:
    """Where a request comes from: the address of the peer, and what the program calls itself."""

    address: str = ""
    user_agent: str = ""


@dataclass(frozen=True)
class NewSession:
    """A session that was just made; ``token`` is for the cookie and is kept nowhere else."""

    id: int
    token: str


class SessionService:
    """Writes sessions in the transaction of ``work``."""

    def __init__(self, work: Work, settings: AuthSettings) -> None:
        self.work = work
        self.settings = settings

    def start(
        self, account_id: int, client: Client, old_token: str | None = None, *, generation: int | None = None
    ) -> NewSession:
        """Sign a browser in under a new random id; the session that it had before (``old_token``) ends.

        ``generation`` is that of the account when its password was checked: raises BadCredentials if the password was
        changed since, because checking one takes longer than changing it does.
        """
        if generation is not None and lock_generation(self.work, account_id) != generation:
            raise BadCredentials
        if old_token is not None:
            self.end_token(old_token)
        moment = clock.now()
        session = NewSession(new_id(), new_token())
        self.work.session.execute(
            insert(Session).values(
                id=session.id, token_hash=hash_token(session.token), user_id=account_id,
                created_at=moment, last_seen_at=moment, authenticated_at=moment,
                expires_at=moment + self.settings.session_life, address=client.address, user_agent=client.user_agent,
            )
        )  # fmt: skip
        self.work.publish(SignedIn(account_id, AuthMethod.SESSION))
        return session

    def touch(self, session_id: int, seen_before: datetime) -> None:
        """Write down that the session is in use, unless somebody did so after ``seen_before``."""
        seen = update(Session).where(Session.id == session_id, Session.last_seen_at < seen_before)
        self.work.session.execute(seen.values(last_seen_at=clock.now()))

    def end_token(self, token: str) -> None:
        """End the session that the cookie names, if there is one."""
        _end(self.work, delete(Session).where(Session.token_hash == hash_token(token)))

    def end(self, account_id: int, session_id: int) -> bool:
        """End a session of that account; False when it has none with that id."""
        mine = delete(Session).where(Session.id == session_id, Session.user_id == account_id)
        return _end(self.work, mine) > 0


def lock_generation(work: Work, account_id: int) -> int | None:
    """The account's generation, which no other transaction changes before this one has ended; None without an account.

    Whoever makes a way into an account asks for it first: a change of the password must end that one, too.
    """
    locked = select(User.generation).where(User.id == account_id).with_for_update(key_share=True)
    generation: int | None = work.session.scalar(locked)
    return generation


def end_devices(work: Work, account_id: int, *, keep: int | None = None) -> None:
    """Sign out every browser and program of the account but the session or grant ``keep``; reset links end, too.

    Personal tokens go on: no device holds one by having signed in.
    """
    sessions = delete(Session).where(Session.user_id == account_id)
    grants = update(Grant).where(Grant.user_id == account_id, Grant.revoked_at.is_(None))
    if keep is not None:
        sessions, grants = sessions.where(Session.id != keep), grants.where(Grant.id != keep)
    _end(work, sessions)
    end_grants(work, grants)
    work.session.execute(delete(PasswordReset).where(PasswordReset.user_id == account_id))


def end_grants(work: Work, grants: Update) -> int:
    """Revoke the grants that the statement speaks of; how many that were."""
    ended = work.session.scalars(grants.values(revoked_at=clock.now()).returning(Grant.id)).all()
    work.publish(AccessEnded(grants=tuple(ended)))
    return len(ended)


def _end(work: Work, sessions: Delete) -> int:
    ended = work.session.scalars(sessions.returning(Session.token_hash)).all()
    work.publish(AccessEnded(sessions=tuple(ended)))
    return len(ended)


def end_all_access(work: Work, account_id: int) -> None:
    """End all that opens the account: sessions, grants, personal tokens, reset links."""
    end_devices(work, account_id)
    work.session.execute(delete(PersonalToken).where(PersonalToken.user_id == account_id))


def sweep(work: Work, settings: AuthSettings) -> int:
    """Delete what can no longer sign anybody in; return how many rows went (those of a grant's tokens not counted).

    A used refresh token stays until it would have expired, because a second use of it must be noticed; a personal token
    stays for a while, so that its program is told why it is refused, and its owner what to make anew.
    """
    moment = clock.now()
    return sum(
        changed_rows(work, statement)
        for statement in (
            delete(Session).where(
                or_(Session.expires_at < moment, Session.last_seen_at < moment - settings.session_idle)
            ),
            delete(Grant).where(or_(Grant.expires_at < moment, Grant.revoked_at < moment - settings.refresh_idle)),
            delete(RefreshToken).where(RefreshToken.expires_at < moment),
            delete(PasswordReset).where(PasswordReset.expires_at < moment),
            delete(PersonalToken).where(PersonalToken.expires_at < moment - EXPIRED_KEPT),
        )
    )


def changed_rows(work: Work, statement: Delete | Update) -> int:
    """Run the statement; how many rows it changed."""
    return cast("CursorResult[Any]", work.session.execute(statement)).rowcount
