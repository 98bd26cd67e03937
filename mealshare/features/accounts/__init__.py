"""Accounts: who people are, how they sign in, what they may."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from pyramid.config import Configurator

from mealshare.api import id_param
from mealshare.core.i18n import _
from mealshare.core.jobs import Priority
from mealshare.core.security.identity import AuthMethod
from mealshare.core.security.jwt import AccessTokens
from mealshare.core.security.jwt_keys import PREFIX as JWT_PREFIX
from mealshare.core.security.jwt_keys import JwtSettings
from mealshare.core.security.remembered import RememberedIdentities
from mealshare.features.accounts.authenticators import add_identity_column, by_bearer, by_session, forget_ended
from mealshare.features.accounts.entry import add_sign_in_hook
from mealshare.features.accounts.events import AccessEnded
from mealshare.features.accounts.jobs import mail_reset_link, send_mail, sweep_expired
from mealshare.features.accounts.mails import SEND
from mealshare.features.accounts.resources import Users
from mealshare.features.accounts.rules import RULES
from mealshare.features.accounts.schemas import USERNAME_PARAM
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
    "scope_not_held": _("You do not have that scope yourself."),
    "expiry_range": _("This must be a moment within the next ten years."),
}
PROBLEMS = {
    "bad_credentials": (401, _("The name or the password is wrong.")),
    "account_suspended": (403, _("This account is suspended.")),
    "registration_closed": (403, _("This site takes no new accounts at the moment.")),
    "refresh_token_invalid": (401, _("The refresh token is not known.")),
    "refresh_token_expired": (401, _("The refresh token has expired.")),
    "refresh_token_reused": (401, _("The refresh token was used before. For safety this sign-in has ended.")),
    "too_many_tokens": (409, _("There are as many tokens as you may have. Revoke one that nothing uses any more.")),
    "reset_invalid": (404, _("This link is no longer good. Ask for a new one.")),
}
TAGS = {
    "accounts": "Register, log in and out, get new tokens; your own profile and avatar.",
    "tokens": "Personal access tokens: for scripts and programs of your own, with scopes and an end.",
    "devices": "The browsers and programs in which you are signed in, and how to sign them out.",
    "people": "Other people: profiles, following, requests to follow, blocking and muting.",
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
    "settings.tokens": "/settings/tokens",
    "settings.tokens.revoke_all": "/settings/tokens/revoke-all",
    "settings.tokens.revoke": "/settings/tokens/{id}/revoke",
}
OPERATIONS = {
    "api.users": "/api/users",
    "api.login": "/api/login",
    "api.logout": "/api/logout",
    "api.token.refresh": "/api/token/refresh",
    "api.profile": "/api/user/profile",
    "api.user.password": "/api/user/password",
    "api.tokens": "/api/tokens",
    "api.devices": "/api/devices",
    "api.jwks": "/.well-known/jwks.json",
}


def includeme(config: Configurator) -> None:
    """Switch the feature on."""
    registry = config.registry
    seconds = config.declare_settings(AuthSettings, prefix="auth").session_cache_seconds
    remembered = RememberedIdentities(registry["cache"], seconds) if seconds > 0 else None
    registry["remembered"] = remembered
    if remembered is not None:
        config.subscribe(AccessEnded, partial(forget_ended, remembered))
    jwt = config.declare_settings(JwtSettings, prefix=JWT_PREFIX)
    registry["access_tokens"] = AccessTokens.from_settings(jwt, registry["base_url"])
    registry["sign_in_hooks"] = []
    config.add_directive("add_sign_in_hook", add_sign_in_hook, action_wrap=False)
    registry["identity_columns"] = {}
    config.add_directive("add_identity_column", add_identity_column, action_wrap=False)
    config.add_authenticator(AuthMethod.SESSION, by_session)
    config.add_authenticator(AuthMethod.BEARER, by_bearer)
    config.add_rules(RULES)
    config.add_api_tags(TAGS)
    config.add_messages(MESSAGES)
    config.add_problems(PROBLEMS)
    config.add_job(SEND, send_mail, priority=Priority.HIGH)
    config.add_job(MAIL_RESET_LINK, mail_reset_link, priority=Priority.HIGH)
    config.add_job("accounts.sweep", sweep_expired, every=timedelta(hours=1), priority=Priority.LOW)
    for name, pattern in PAGES.items():
        config.add_route(name, pattern)
    for name, pattern in OPERATIONS.items():
        config.add_api_route(name, pattern)
    person = {"factory": Users, "traverse": "/{username}"}
    config.add_route("person.uri", "/users/{username}", **person)
    config.add_api_route("api.user", "/api/users/{username}", params={"username": USERNAME_PARAM}, **person)
    for page in ("/@{username}", "/users/{username}"):
        config.add_api_twin(page, "/api/users/{username}")
    config.add_api_route("api.tokens.item", "/api/tokens/{id}", params={"id": id_param("The id of the token.")})
    config.add_api_route("api.device", "/api/devices/{id}", params={"id": id_param("The id of the device.")})
    for module in ("api", "api_tokens", "web", "web_settings", "web_passwords", "web_tokens"):
        config.scan(f"{__name__}.{module}")
