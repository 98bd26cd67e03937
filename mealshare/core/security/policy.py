"""Pyramid's security policy: session or bearer token in, identity out, the rule book for the rest.

If the request carries ``Authorization: Bearer``, only that counts: a bad token is an error and never falls back to the
cookie.  Both ways are authenticators that a feature registers with ``config.add_authenticator``; each is a function
``(request) -> Identity | None`` and may raise `AuthenticationFailed`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.interfaces import ISecurityPolicy
from pyramid.request import Request
from pyramid.security import Allowed
from sqlalchemy.exc import SQLAlchemyError
from zope.interface import implementer

from mealshare.core.security.identity import AuthMethod, Identity
from mealshare.core.security.permissions import Denial, DeniedBecause, RuleBook

Authenticator = Callable[[Request], Identity | None]
IDENTITY_FAILED = "identity.failed"
#: Kept on the request, not in the environ: a retried request has the same environ and must ask again.
#: Under the name of the property itself, so that who asks again finds it without a call (four times in a request).
_IDENTITY = "identity"
_WITHHELD = "_mealshare_withheld"
#: Two headers arrive as one, joined by a comma.
_BEARER = re.compile(r"(?:^|,[ \t]*)bearer(?:[ \t,]|$)", re.IGNORECASE)

log = logging.getLogger(__name__)


class AuthenticationFailed(Exception):
    """The request carries a token that does not count; ``code`` says why (``token_expired`` ...)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@implementer(ISecurityPolicy)
class SecurityPolicy:
    """Asks the authenticators once a request and remembers the answer."""

    def __init__(self, authenticators: dict[AuthMethod, Authenticator], rules: RuleBook) -> None:
        self.authenticators = authenticators
        self.rules = rules

    def identity(self, request: Request) -> Identity | None:
        """The identity of the request, or None.

        A bad token makes this raise AuthenticationFailed at the first call, which is the permission check of the
        view; afterwards, when the error page asks, the request counts as anonymous.
        """
        known = request.__dict__
        if _IDENTITY in known:
            identity: Identity | None = known[_IDENTITY]
            return identity
        known[_IDENTITY] = None
        method = AuthMethod.BEARER if has_bearer(request) else AuthMethod.SESSION
        authenticate = self.authenticators.get(method)
        identity = authenticate(request) if authenticate is not None else None
        set_identity(request, identity)
        return identity

    def authenticated_userid(self, request: Request) -> str | None:
        """The account id as a string, or None."""
        identity = self.identity(request)
        return None if identity is None else str(identity.account_id)

    def permits(self, request: Request, context: Any, permission: str) -> Allowed | DeniedBecause:
        """What the rule book says."""
        answer = self.rules.permits(self.identity(request), context, permission)
        if _WITHHELD in request.__dict__ and getattr(answer, "reason", None) is Denial.LOGIN_REQUIRED:
            # There is a sign-in; what is missing is the scope that would make it count here.
            return DeniedBecause(Denial.SCOPE_MISSING, permission)
        return answer

    def remember(self, request: Request, userid: str, **kw: Any) -> list[tuple[str, str]]:
        """Nothing: signing in is the accounts service's, which creates the session's row."""
        return []

    def forget(self, request: Request, **kw: Any) -> list[tuple[str, str]]:
        """Nothing: see `remember`."""
        return []


def identity_if_known(request: Request) -> Identity | None:
    """Who asks, for what goes on in any case: error pages, the choice of a language, counting.  Never raises.

    None also where it cannot be found out.  A token that does not count and a database that is away are told by whatever
    cannot go on without them; anything else is logged here.
    """
    try:
        identity: Identity | None = request.identity
    except (AuthenticationFailed, SQLAlchemyError):
        return None
    except Exception:
        # An error page that fails itself would tell nobody anything.
        log.exception(IDENTITY_FAILED)
        return None
    return identity


def has_bearer(request: Request) -> bool:
    """True when the request has an Authorization header of the Bearer scheme (RFC 6750), in whatever case.

    Also one without a token, or beside a header of another scheme: whoever says that they bring a token is never taken
    for the owner of the cookie beside it.
    """
    header: str | None = request.environ.get("HTTP_AUTHORIZATION")
    return header is not None and _BEARER.search(header) is not None


def bearer_token(request: Request) -> str:
    """What stands behind the scheme, for a request that `has_bearer`; it may be anything at all."""
    header: str = request.environ["HTTP_AUTHORIZATION"]
    return header[len("bearer ") :].strip(" ") if header[:7].lower() == "bearer " else ""


def withhold(request: Request) -> None:
    """Let the request count as a visitor's although its token is good: it may not see with its owner's eyes."""
    request.__dict__[_WITHHELD] = True


def set_identity(request: Request, identity: Identity | None) -> None:
    """From here on the request counts as coming from ``identity``: after a login, a registration or a logout."""
    request.__dict__[_IDENTITY] = identity
    request.environ["mealshare.user"] = None if identity is None else identity.account_id


def _add_authenticator(config: Configurator, method: AuthMethod, authenticator: Authenticator) -> None:
    config.registry["authenticators"][method] = authenticator


def includeme(config: Configurator) -> None:
    """Install the policy and ``config.add_authenticator``."""
    authenticators: dict[AuthMethod, Authenticator] = {}
    config.registry["authenticators"] = authenticators
    config.add_directive("add_authenticator", _add_authenticator, action_wrap=False)
    policy = SecurityPolicy(authenticators, config.registry["rules"])
    config.set_security_policy(policy)
    # In place of Pyramid's, which would look for the policy each time.
    config.add_request_method(policy.identity, "identity", property=True)
