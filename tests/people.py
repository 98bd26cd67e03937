"""People who act in tests: who they are, and how they sign in."""

from __future__ import annotations

import io
from functools import cache
from types import SimpleNamespace
from typing import Any

from PIL import Image
from webtest import TestApp, TestResponse

from mealshare.core.security.identity import Role
from mealshare.core.security.passwords import hash_password
from mealshare.features.accounts.service import AccountService, NewAccount

#: Everybody's, unless a test says otherwise.
PASSWORD = "sesame noodles at midnight"

#: One hash takes as long as a whole test; the same password needs only one.
hashed = cache(hash_password)


def add_user(
    registry: Any, username: str, *, email: str | None = None, password: str = PASSWORD, role: Role | str = Role.USER,
    locale: str | None = None, time_zone: str = "UTC", display_name: str | None = None,
) -> SimpleNamespace:  # fmt: skip
    """Make an account by the service, and commit; gives account_id, username, email and password."""
    address = email or f"{username}@example.org"
    new = NewAccount(username, address, hashed(password), locale, time_zone, Role(role))
    with registry["open_work"]() as work:
        service = AccountService(work, registry["base_url"])
        account_id = service.create(new).account_id
        if display_name is not None:
            service.change_profile(account_id, {"display_name": display_name})
    return SimpleNamespace(account_id=account_id, username=username, email=address, password=password)


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
