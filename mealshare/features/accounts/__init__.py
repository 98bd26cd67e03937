"""Accounts: who people are, how they sign in, what they may."""

from __future__ import annotations

from datetime import timedelta

from pyramid.config import Configurator

from mealshare.core.i18n import _
from mealshare.core.security.identity import AuthMethod
from mealshare.core.security.jwt import AccessTokens
from mealshare.core.security.jwt_keys import PREFIX as JWT_PREFIX
from mealshare.core.security.jwt_keys import JwtSettings
from mealshare.features.accounts.authenticators import by_bearer, by_session
from mealshare.features.accounts.entry import add_sign_in_hook
from mealshare.features.accounts.jobs import mail_reset_link, send_mail, sweep_expired
from mealshare.features.accounts.mails import SEND
from mealshare.features.accounts.resources import Users
from mealshare.features.accounts.rules import RULES
from mealshare.features.accounts.settings import AuthSettings
from mealshare.features.accounts.web_passwords import MAIL_RESET_LINK

MESSAGES = {
    "username_taken": _("This username is taken."),
    "username_characters": _("Only the letters a to z, digits and the underscore can be in a username."),
    "username_underscore": _("An underscore can only stand between two other characters."),
    "username_needs_letter": _("At least one letter must be in a username."),
    "username_reserved": _("This username is kept for the site."),
    "email_unusable": _("This e-mail address cannot be used for a new account."),
    "bad_email": _("This is not an e-mail address."),
    "password_common": _("This password is among the first that are guessed. Take one that is harder."),
    "password_same_as_name": _("This password is too close to your name or address."),
    "password_wrong": _("This is not your current password."),
    "passwords_differ": _("The two passwords are not the same."),
    "one_login": _("Give either the username or the e-mail address."),
}
PROBLEMS = {
    "bad_credentials": (401, _("The name or the password is wrong.")),
    "account_suspended": (403, _("This account is suspended.")),
    "registration_closed": (403, _("This site takes no new accounts at the moment.")),
    "refresh_token_invalid": (401, _("The refresh token is not known.")),
    "refresh_token_expired": (401, _("The refresh token has expired.")),
    "refresh_token_reused": (401, _("The refresh token was used before. For safety this sign-in has ended.")),
    "reset_invalid": (404, _("This link is no longer good. Ask for a new one.")),
}
PAGES = {
    "register": "/register",
    "login": "/login",
    "logout": "/logout",
    "language": "/language",
    "password.forgot": "/password/forgot",
    "password.reset": "/password/reset",
    "settings": "/settings",
    "settings.profile": "/settings/profile",
    "settings.password": "/settings/password",
    "settings.sessions": "/settings/sessions",
    "settings.sessions.end": "/settings/sessions/end",
    "settings.sessions.end_others": "/settings/sessions/end-others",
}
OPERATIONS = {
    "api.users": "/api/users",
    "api.login": "/api/login",
    "api.logout": "/api/logout",
    "api.token.refresh": "/api/token/refresh",
    "api.profile": "/api/user/profile",
    "api.jwks": "/.well-known/jwks.json",
}


def includeme(config: Configurator) -> None:
    """Switch the feature on."""
    registry = config.registry
    config.declare_settings(AuthSettings, prefix="auth")
    jwt = config.declare_settings(JwtSettings, prefix=JWT_PREFIX)
    registry["access_tokens"] = AccessTokens.from_settings(jwt, registry["base_url"])
    registry["sign_in_hooks"] = []
    config.add_directive("add_sign_in_hook", add_sign_in_hook, action_wrap=False)
    config.add_authenticator(AuthMethod.SESSION, by_session)
    config.add_authenticator(AuthMethod.BEARER, by_bearer)
    config.add_rules(RULES)
    config.add_messages(MESSAGES)
    config.add_problems(PROBLEMS)
    config.add_job(SEND, send_mail)
    config.add_job(MAIL_RESET_LINK, mail_reset_link)
    config.add_job("accounts.sweep", sweep_expired, every=timedelta(hours=1))
    for name, pattern in PAGES.items():
        config.add_route(name, pattern)
    for name, pattern in OPERATIONS.items():
        config.add_api_route(name, pattern)
    person = {"factory": Users, "traverse": "/{username}"}
    config.add_route("person.uri", "/users/{username}", **person)
    config.add_api_route("api.user", "/api/users/{username}", params={"username": "The username."}, **person)
    for module in ("api", "web", "web_settings", "web_passwords"):
        config.scan(f"{__name__}.{module}")
