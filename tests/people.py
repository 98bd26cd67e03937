"""People who act in tests: who they are, and how they sign in."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from PIL import Image
from webtest import TestApp, TestResponse

from mealshare.core.security.identity import Role
from mealshare.features.accounts.service import AccountService
from tests.factories import PASSWORD, NewAccountFactory

__all__ = ["PASSWORD", "add_user", "bearer", "draw", "form_with", "sign_in"]


def add_user(
    registry: Any, username: str | None = None, *, password: str = PASSWORD, role: Role | str = Role.USER,
    display_name: str | None = None, **known: Any,
) -> SimpleNamespace:  # fmt: skip
    """Make an account by the service, and commit; gives account_id, username, email and password.

    ``known`` are email, locale and time_zone; what is not said is made up.
    """
    if username is not None:
        known["username"] = username
    new = NewAccountFactory.build(password=password, role=Role(role), **known)
    with registry["open_work"]() as work:
        service = AccountService(work, registry["base_url"])
        account_id = service.create(new).account_id
        if display_name is not None:
            service.change_profile(account_id, {"display_name": display_name})
    return SimpleNamespace(account_id=account_id, username=new.username, email=new.email, password=password)


def sign_in(app: TestApp, user: Any) -> None:
    """Sign in as a person does, with the form; the cookies stay in ``app``."""
    form = form_with(app.get("/login"), "password")
    form["login"] = user.username
    form["password"] = user.password
    form.submit(status=303)


def bearer(app: TestApp, user: Any) -> dict[str, str]:
    """Sign in over the API; gives the headers that a program then sends.  The cookies of ``app`` play no part in it."""
    answer = TestApp(app.app).post_json("/api/login", {"username": user.username, "password": user.password}).json
    return {"Authorization": f"Bearer {answer['access_token']}"}


def draw(kind: str = "jpeg", size: tuple[int, int] = (800, 600)) -> bytes:
    """A picture file with something in it; ``kind`` is jpeg, png, webp, gif or avif."""
    across = Image.linear_gradient("L").rotate(90).resize(size)
    down = Image.linear_gradient("L").resize(size)
    target = io.BytesIO()
    Image.merge("RGB", (across, down, Image.radial_gradient("L").resize(size))).save(target, kind)
    return target.getvalue()


def form_with(page: TestResponse, field: str) -> Any:
    """The form of the page that has ``field``: a page has several, the language switch among them."""
    return next(form for form in page.forms.values() if field in form.fields)
