"""Small applications on the real plumbing, for what no feature shows by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from webob import Request as PlainRequest
from webob import Response as PlainResponse

from mealshare import CORE
from mealshare.core.security.identity import AuthMethod, Identity, Role
from mealshare.core.security.policy import AuthenticationFailed
from tests.sites import site_settings

Setup = Callable[[Configurator], None]
#: Session cookies that the small applications know, and whose they are.
ANN, BOB, ADMIN = "a" * 43, "b" * 43, "c" * 43
PEOPLE = {
    ANN: Identity(1, "ann", Role.USER, AuthMethod.SESSION, 11),
    BOB: Identity(2, "bob", Role.USER, AuthMethod.SESSION, 12),
    ADMIN: Identity(3, "admin", Role.ADMIN, AuthMethod.SESSION, 13),
}


def by_session(request: Request) -> Identity | None:
    """Whose session cookie it is."""
    return PEOPLE.get(request.registry["cookies"].get(request, "session") or "")


def by_bearer(request: Request) -> Identity | None:
    """A token is the session cookie's value here; any other is bad."""
    token = request.environ["HTTP_AUTHORIZATION"][7:]
    if token not in PEOPLE:
        raise AuthenticationFailed("token_expired")
    return PEOPLE[token]


def small_router(url: str, folder: Path, setup: Setup, *, base_url: str = "http://localhost", **settings: str) -> Any:
    """The application: all of the plumbing, and what ``setup`` adds; ``settings`` as ``section__key=value``."""
    given = site_settings(folder, url, base_url) | {"jobs.engine": "worker", "db.check_revision": "false"}
    # The key of access tokens belongs to the feature that gives them out.
    del given["jwt.secret"]
    given |= {name.replace("__", "."): value for name, value in settings.items()}
    config = Configurator(settings=given)
    for name in CORE:
        config.include(name)
    config.add_authenticator(AuthMethod.SESSION, by_session)
    config.add_authenticator(AuthMethod.BEARER, by_bearer)
    setup(config)
    return config.make_wsgi_app()


def call(router: Any, method: str, path: str, body: bytes = b"", **environ: str) -> PlainResponse:
    """One request as it comes from the network, with a path that may hold any bytes and without a cookie jar."""
    request = PlainRequest.blank("/", method=method, body=body)
    bare, _, query = path.partition("?")
    request.environ |= {"PATH_INFO": bare, "QUERY_STRING": query, **environ}
    answer = request.get_response(router)
    # Read and closed here: static files come as open files.
    assert isinstance(answer.body, bytes)
    return answer
