"""Makes the services from what a request, a job or a command has at hand."""

from __future__ import annotations

from pyramid.registry import Registry
from pyramid.request import Request

from mealshare.core.security import SiteSettings
from mealshare.core.settings import settings_of
from mealshare.features.accounts.mails import Letters
from mealshare.features.accounts.service import AccountService
from mealshare.features.accounts.service_login import PasswordCheck
from mealshare.features.accounts.service_passwords import NewPasswords, PasswordService
from mealshare.features.accounts.service_personal import PersonalTokenService
from mealshare.features.accounts.service_registration import Registration
from mealshare.features.accounts.service_sessions import Client, SessionService
from mealshare.features.accounts.service_tokens import TokenService
from mealshare.features.accounts.settings import AuthSettings

_LONGEST_USER_AGENT = 300


def client_of(request: Request) -> Client:
    """Where the request comes from.

    The peer's address as the server gives it: ``request.client_addr`` would believe an X-Forwarded-For that anybody
    can send.  Of the User-Agent only printable ASCII is kept, which is all that RFC 9110 lets it have.
    """
    environ = request.environ
    agent = environ.get("HTTP_USER_AGENT", "")[:_LONGEST_USER_AGENT]
    return Client(
        str(environ.get("REMOTE_ADDR", ""))[:45], "".join(char for char in agent if " " <= char <= "~").strip()
    )


def letters(registry: Registry) -> Letters:
    """The writer of letters."""
    site = settings_of(registry, SiteSettings)
    return Letters(site.name, registry["base_url"], site.language)


def auth_settings(request: Request) -> AuthSettings:
    """How long what signs somebody in is good."""
    return settings_of(request.registry, AuthSettings)


def registration(request: Request) -> Registration:
    """Who decides about applications; reads only."""
    registry = request.registry
    policy = settings_of(registry, SiteSettings).registration
    return Registration(request.conn, registry["ratelimit"], request.open_work, letters(registry), policy)


def password_check(request: Request) -> PasswordCheck:
    """Who checks passwords; reads only."""
    return PasswordCheck(request.conn, request.registry["ratelimit"])


def new_passwords(request: Request) -> NewPasswords:
    """Who hashes new passwords; reads only."""
    return NewPasswords(request.conn, request.registry["ratelimit"])


def account_service(request: Request) -> AccountService:
    """Writes accounts in this request's transaction."""
    return AccountService(request.work, request.registry["base_url"])


def session_service(request: Request) -> SessionService:
    """Writes sessions in this request's transaction."""
    return SessionService(request.work, auth_settings(request))


def token_service(request: Request) -> TokenService:
    """Writes grants in this request's transaction."""
    return TokenService(request.work, auth_settings(request), request.registry["access_tokens"])


def personal_token_service(request: Request) -> PersonalTokenService:
    """Writes personal tokens in this request's transaction."""
    return PersonalTokenService(request.work)


def password_service(request: Request) -> PasswordService:
    """Writes passwords in this request's transaction."""
    return PasswordService(request.work, letters(request.registry))
