"""Pages to register, to sign in and out, and to choose the language."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.dates import valid_zone
from mealshare.core.errors import BadRequest, FieldError, InputInvalid
from mealshare.core.i18n import LOCALE_COOKIE, LOCALES
from mealshare.core.security.permissions import CorePermission
from mealshare.core.security.redirects import safe_next
from mealshare.features.accounts.entry import enter, leave, next_path
from mealshare.features.accounts.factory import (
    account_service,
    client_of,
    password_check,
    password_service,
    registration,
)
from mealshare.features.accounts.resources import PersonContext
from mealshare.features.accounts.schemas import LoginForm, RegisterInput
from mealshare.features.accounts.service_login import BadCredentials
from mealshare.features.accounts.service_registration import Application
from mealshare.web.forms import WHOLE, Form

PUBLIC = CorePermission.PUBLIC
LOCALE_COOKIE_SECONDS = 365 * 24 * 3600


@view_config(route_name="register", request_method="GET", renderer="templates/register.pt", permission=PUBLIC)
def register_form(context: Any, request: Request) -> Any:
    """The form to register."""
    registration(request).check_open()
    if request.identity is not None:
        return HTTPSeeOther(next_path(request))
    return _page(request, Form(request, RegisterInput))


@view_config(
    route_name="register", request_method="POST", renderer="templates/register.pt", permission=PUBLIC, limit=None
)
def register(context: Any, request: Request) -> Any:
    """Register, and be signed in."""
    form = Form(request, RegisterInput)
    given = form.validate(_applied(form, request))
    try:
        if given is not None:
            wanted = Application(given.username, given.email, given.password, given.locale, given.time_zone)
            new = registration(request).accept(wanted, client_of(request).address)
            return enter(request, account_service(request).create(new))
    except InputInvalid as invalid:
        form.fail_with(invalid)
    return _page(request, form)


def _page(request: Request, form: Form[Any]) -> dict[str, Any]:
    """What both forms show; ``query`` takes the way back along to the other one."""
    target = next_path(request)
    return {"form": form, "next": target, "query": "" if target == "/" else f"?next={quote(target, safe='')}"}


def _applied(form: Form[RegisterInput], request: Request) -> dict[str, Any]:
    """What was typed; the time zone is a script's guess, so a wrong one is no fault of the reader's."""
    given = form.read()
    if not valid_zone(given.get("time_zone")):
        given.pop("time_zone", None)
    return given | {"locale": request.locale_name}


@view_config(route_name="login", request_method="GET", renderer="templates/login.pt", permission=PUBLIC)
def login_form(context: Any, request: Request) -> Any:
    """The form to sign in."""
    if request.identity is not None:
        return HTTPSeeOther(next_path(request))
    return _page(request, Form(request, LoginForm))


@view_config(route_name="login", request_method="POST", renderer="templates/login.pt", permission=PUBLIC, limit=None)
def login(context: Any, request: Request) -> Any:
    """Sign in."""
    form = Form(request, LoginForm)
    given = form.validate()
    try:
        if given is not None:
            verified = password_check(request).login(given.login, given.password, client_of(request).address)
            if verified.new_hash is not None:
                password_service(request).rehash(verified.person, verified.new_hash)
            return enter(request, verified.person)
    except BadCredentials as wrong:
        form.fail(FieldError(WHOLE, wrong.code))
    return _page(request, form)


@view_config(route_name="logout", request_method="POST", permission=PUBLIC, limit=None)
def logout(context: Any, request: Request) -> HTTPSeeOther:
    """Sign out; whoever is signed out already has got what they wanted."""
    leave(request)
    return HTTPSeeOther("/")


@view_config(route_name="language", request_method="POST", permission=PUBLIC)
def choose_language(context: Any, request: Request) -> HTTPSeeOther:
    """Speak another language from now on: to this browser and, where somebody is signed in, to them."""
    locale = request.POST.get("lang")
    if locale not in LOCALES:
        raise BadRequest
    if request.identity is not None:
        account_service(request).set_locale(request.identity.account_id, locale)
    response = HTTPSeeOther(safe_next(request.POST.get("next")))
    # Not through the jar: the name has no __Host- prefix, because the language is read before anything else is.
    response.set_cookie(
        LOCALE_COOKIE, locale, max_age=LOCALE_COOKIE_SECONDS, path="/", httponly=True, samesite="Lax",
        secure=request.registry["cookies"].secure,
    )  # fmt: skip
    return response


@view_config(route_name="person.uri", request_method="GET", context=PersonContext, permission=PUBLIC)
def person_uri(context: PersonContext, request: Request) -> HTTPSeeOther:
    """The permanent address of a person leads to the page about them."""
    return HTTPSeeOther(context.url)
