"""What happened to an account; published inside the transaction that did it."""

from __future__ import annotations

from dataclasses import dataclass

from mealshare.core.security.identity import AuthMethod, Role


@dataclass(frozen=True)
class AccountRegistered:
    """A new account of this site exists."""

    account_id: int
    username: str


@dataclass(frozen=True)
class SignedIn:
    """Somebody signed in, with a browser or over the API."""

    account_id: int
    method: AuthMethod


@dataclass(frozen=True)
class ProfileChanged:
    """The public face changed (name, words about oneself or picture)."""

    account_id: int


@dataclass(frozen=True)
class AccessEnded:
    """Sessions (by the hashes of their random ids) and grants (by their ids) that open nothing any more."""

    sessions: tuple[bytes, ...] = ()
    grants: tuple[int, ...] = ()


@dataclass(frozen=True)
class PasswordChanged:
    """There is a new password; sessions and grants have ended."""

    account_id: int


@dataclass(frozen=True)
class RoleChanged:
    """The role is another one; sessions and grants have ended."""

    account_id: int
    role: Role
