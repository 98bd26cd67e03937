"""Signing a browser in and out, and what other features do at that moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request

from mealshare.core.security.csrf import SAFE_METHODS, posted_form
from mealshare.core.security.identity import AuthMethod, Identity
from mealshare.core.security.policy import set_identity
from mealshare.core.security.redirects import safe_next
from mealshare.features.accounts.authenticators import SESSION_COOKIE, session_token
from mealshare.features.accounts.factory import auth_settings, client_of, session_service
from mealshare.features.accounts.queries_access import Credentials

#: Called with the request, which acts for the account from here on, and the account's id; a path that it returns is
#: where the reader is sent.
SignInHook = Callable[[Request, int], str | None]
#: What a browser should drop with the session.  Not "cookies": that would take those of all hosts of the domain.
CLEAR_SITE_DATA = '"cache", "storage"'


def add_sign_in_hook(config: Configurator, hook: SignInHook) -> None:
    """Directive ``config.add_sign_in_hook(hook)``: run ``hook`` after each registration or login with the browser.

    It runs in the same transaction; if it raises, nobody was registered.
    """
    config.registry["sign_in_hooks"].append(hook)


def next_path(request: Request) -> str:
    """Where the form's reader wants to go afterwards: a path of this site."""
    # Not request.params: for that a GET would have its body read, which nothing has looked at.
    posted = {} if request.method in SAFE_METHODS else posted_form(request)
    return safe_next(posted["next"] if "next" in posted else request.GET.get("next"))


def enter(request: Request, person: Credentials) -> HTTPSeeOther:
    """Sign the browser in as ``person``: a new session, its cookie, the hooks; the redirect to where it goes on."""
    target = next_path(request)
    session = session_service(request).start(
        person.account_id, client_of(request), session_token(request), generation=person.generation
    )
    set_identity(request, _identity_of(person, session.id))
    for hook in request.registry["sign_in_hooks"]:
        target = hook(request, person.account_id) or target
    response = HTTPSeeOther(target)
    _set_cookie(request, response, session.token)
    return response


def renew(request: Request, account_id: int) -> None:
    """Give the browser a new session, after all of them ended with the old password; the answer brings its cookie."""
    session = session_service(request).start(account_id, client_of(request))

    def bring(request: Request, response: Any) -> None:
        # By now the transaction is over: if it came to nothing, the old session goes on.
        if response.status_int < 400:
            _set_cookie(request, response, session.token)

    request.add_response_callback(bring)


def leave(request: Request) -> None:
    """End the browser's session; the answer, whichever it is, takes the cookie away."""
    token = session_token(request)
    if token is not None:
        session_service(request).end_token(token)
    set_identity(request, None)
    request.add_response_callback(_forget)


def _forget(request: Request, response: Any) -> None:
    request.registry["cookies"].delete(response, SESSION_COOKIE)
    response.headers["Clear-Site-Data"] = CLEAR_SITE_DATA


def _set_cookie(request: Request, response: Any, token: str) -> None:
    max_age = int(auth_settings(request).session_life.total_seconds())
    request.registry["cookies"].set(response, SESSION_COOKIE, token, max_age=max_age)


def _identity_of(person: Credentials, session_id: int) -> Identity:
    return Identity(
        person.account_id, person.username, person.role, AuthMethod.SESSION, session_id, person.display_name,
        person.avatar_key, person.locale, person.time_zone,
    )  # fmt: skip
