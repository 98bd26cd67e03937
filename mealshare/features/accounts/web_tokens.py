"""Pages on which people make and revoke their personal access tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core import clock
from mealshare.core.db import MAX_ID, Window
from mealshare.core.errors import Conflict, FieldError, InputInvalid, NotFound
from mealshare.core.i18n import _
from mealshare.core.ids import parse_id
from mealshare.core.security.permissions import CorePermission
from mealshare.features.accounts import queries_access
from mealshare.features.accounts.factory import personal_token_service
from mealshare.features.accounts.labels import SCOPES
from mealshare.features.accounts.rules import in_order, scopes_for
from mealshare.features.accounts.schemas import TokenForm
from mealshare.features.accounts.service_personal import MOST_TOKENS, NewToken, Wanted
from mealshare.web.forms import WHOLE, Form

BROWSER = CorePermission.BROWSER_SESSION
PAGE, ASK = "templates/tokens.pt", "templates/tokens_revoke.pt"
HOME = "/settings/tokens"
#: A token that ends within this time is marked, so that nothing stops working unforeseen.
SOON = timedelta(days=7)
#: How long a new token may last; the one in the middle is the one that the form proposes.
CHOICES = {
    "7": _("After a week"), "30": _("After 30 days"), "90": _("After 90 days"), "365": _("After a year"),
    "never": _("Never: until I revoke it"),
}  # fmt: skip
PROPOSED = "90"


@dataclass(frozen=True)
class ShownToken:
    """A token as the page shows it; ``state`` is "", "soon" or "expired"."""

    row: queries_access.TokenRow
    scopes: list[str]
    state: str

    @classmethod
    def of(cls, row: queries_access.TokenRow, now: datetime) -> ShownToken:
        """The token as it is at that moment."""
        state = "" if row.expires_at is None or row.expires_at > now + SOON else "soon"
        if row.expires_at is not None and row.expires_at <= now:
            state = "expired"
        return cls(row, [SCOPES[scope][0] for scope in in_order(row.scopes.split())], state)


@view_config(route_name="settings.tokens", request_method="GET", renderer=PAGE, permission=BROWSER)
def tokens(context: Any, request: Request) -> dict[str, Any]:
    """The tokens, and the form for another one."""
    return _page(request, Form(request, TokenForm, {"days": PROPOSED, "scopes": ["read"]}))


@view_config(route_name="settings.tokens", request_method="POST", renderer=PAGE, permission=BROWSER)
def make_token(context: Any, request: Request) -> dict[str, Any]:
    """Make a token, and show it: on this page and never again, so there is no redirect that it could travel through."""
    form = Form(request, TokenForm)
    given = form.validate(form.read(lists=("scopes",)))
    me, made = request.identity, None
    try:
        if given is not None:
            wanted = Wanted(given.name, given.scopes, given.expires_at())
            service = personal_token_service(request)
            made = service.create(me.account_id, wanted, allowed=scopes_for(me.role), by=me.session_id)
    except InputInvalid as invalid:
        form.fail_with(invalid)
    except Conflict as conflict:
        form.fail(FieldError(WHOLE, conflict.code))
    return _page(request, form if made is None else Form(request, TokenForm, {"days": PROPOSED}), made)


@view_config(route_name="settings.tokens.revoke", request_method="GET", renderer=ASK, permission=BROWSER)
def ask_revoke(context: Any, request: Request) -> dict[str, Any]:
    """Is that really meant?"""
    row = queries_access.token_of(request.conn, request.identity.account_id, _id(request))
    if row is None:
        raise NotFound
    return {"token": ShownToken.of(row, clock.now()), "action": f"{HOME}/{row.id}/revoke"}


@view_config(route_name="settings.tokens.revoke", request_method="POST", permission=BROWSER, limit=None)
def revoke(context: Any, request: Request) -> HTTPSeeOther:
    """Revoke one."""
    if not personal_token_service(request).revoke(request.identity.account_id, _id(request)):
        raise NotFound
    request.flash(_("The token is revoked."))
    return HTTPSeeOther(HOME)


@view_config(route_name="settings.tokens.revoke_all", request_method="GET", renderer=ASK, permission=BROWSER)
def ask_revoke_all(context: Any, request: Request) -> dict[str, Any]:
    """Is that really meant?"""
    return {"token": None, "action": f"{HOME}/revoke-all"}


@view_config(route_name="settings.tokens.revoke_all", request_method="POST", permission=BROWSER, limit=None)
def revoke_all(context: Any, request: Request) -> HTTPSeeOther:
    """Revoke them all."""
    personal_token_service(request).revoke_all(request.identity.account_id)
    request.flash(_("All your tokens are revoked."))
    return HTTPSeeOther(HOME)


def _page(request: Request, form: Form[TokenForm], made: NewToken | None = None) -> dict[str, Any]:
    """What the page shows; nothing keeps it, because there may be a token on it."""
    request.response.headers["Cache-Control"] = "no-store"
    now, me = clock.now(), request.identity
    page = queries_access.tokens_of(request.conn, me.account_id, Window(max_id=MAX_ID, limit=MOST_TOKENS))
    return {
        "form": form,
        "page": "tokens",
        "made": made,
        "tokens": [ShownToken.of(row, now) for row in page.items],
        "scopes": [(scope, *SCOPES[scope]) for scope in scopes_for(me.role)],
        "choices": CHOICES.items(),
    }


def _id(request: Request) -> int:
    try:
        return parse_id(request.matchdict["id"])
    except ValueError:
        raise NotFound from None
