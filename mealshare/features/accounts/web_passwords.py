"""Pages for those who forgot the password."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.errors import InputInvalid, TooMany
from mealshare.core.i18n import _
from mealshare.core.ratelimit import address_key
from mealshare.core.security.permissions import CorePermission
from mealshare.features.accounts.entry import leave
from mealshare.features.accounts.factory import client_of, new_passwords, password_service
from mealshare.features.accounts.schemas import ForgotForm, NewPassword
from mealshare.web.forms import Form

PUBLIC = CorePermission.PUBLIC
MAIL_RESET_LINK = "accounts.mail_reset_link"


@view_config(route_name="password.forgot", request_method="GET", renderer="templates/forgot.pt", permission=PUBLIC)
def forgot_form(context: Any, request: Request) -> dict[str, Any]:
    """The form that asks for the e-mail address."""
    return {"form": Form(request, ForgotForm), "sent": False}


@view_config(
    route_name="password.forgot", request_method="POST", renderer="templates/forgot.pt", permission=PUBLIC, limit=None
)
def forgot(context: Any, request: Request) -> dict[str, Any]:
    """Have a link mailed.  Whether the address has an account is looked up later, so nothing here depends on it."""
    form = Form(request, ForgotForm)
    given = form.validate()
    if given is not None:
        _spend(request, given.email)
        request.work.enqueue(MAIL_RESET_LINK, {"email": given.email})
    return {"form": form, "sent": given is not None}


def _spend(request: Request, email: str) -> None:
    """Count the mail for its address, and for the one who asks; raises TooMany."""
    limiter, client = request.registry["ratelimit"], address_key(client_of(request).address)
    for limit, key in (("login_address", f"reset:{client}"), ("reset", email.lower())):
        decision = limiter.hit(limit, key)
        if not decision.allowed:
            raise TooMany(decision.retry_after, decision.limit)


@view_config(route_name="password.reset", request_method="GET", renderer="templates/reset.pt", permission=PUBLIC)
def reset_form(context: Any, request: Request) -> dict[str, Any]:
    """The form behind the link: a new password, or the news that the link is worth nothing any more."""
    token = request.GET.get("token", "")
    return _reset_page(
        Form(request, NewPassword), request, token, valid=new_passwords(request).reset(token) is not None
    )


@view_config(route_name="password.reset", request_method="POST", renderer="templates/reset.pt", permission=PUBLIC)
def reset(context: Any, request: Request) -> Any:
    """Set the new password; everything is signed out, and one signs in with it."""
    form, token = Form(request, NewPassword), request.POST.get("token", "")
    given = form.validate()
    try:
        if given is not None and isinstance(token, str):
            # Two statements: made first, the service would have the hash made inside its transaction.
            change = new_passwords(request).for_reset(token, given.new_password)
            password_service(request).use_reset(*change)
            leave(request)
            request.flash(_("Your password is changed. Log in with it."))
            return HTTPSeeOther("/login")
    except InputInvalid as invalid:
        form.fail_with(invalid)
    return _reset_page(form, request, token, valid=True)


def _reset_page(form: Form[NewPassword], request: Request, token: str, *, valid: bool) -> dict[str, Any]:
    if not valid:
        request.response.status_int = 404
    # The address holds the token, which no other site may see ("no-referrer" would make the form's Origin null).
    request.response.headers["Referrer-Policy"] = "same-origin"
    request.response.headers["Cache-Control"] = "no-store"
    return {"form": form, "token": token, "valid": valid}
