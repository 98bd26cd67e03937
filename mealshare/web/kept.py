"""Pages that say the same to every visitor, but for a few values: rendered once for each language, then filled in."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from markupsafe import Markup, escape
from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response

from mealshare.core.markup import trusted
from mealshare.core.security.tokens import new_token
from mealshare.web.flash import messages_wait
from mealshare.web.ui import Ui


def mark(name: str) -> Markup:
    """What stands in a page for a value that is put in later; nobody's words contain it, for nobody can guess it."""
    return trusted(f"mark-{new_token(16)}-{name}")


_CSRF, _PATH = mark("csrf"), mark("path")


def visitors_page(
    request: Request,
    renderer: str,
    values: Callable[[], dict[str, Any]],
    live: Mapping[Markup, str | Markup],
    *stance: Hashable,
) -> Response | None:
    """A page for a visitor, at an address without a query; None for anybody else, who gets it rendered as always.

    ``values()`` are those of the template, with marks for all that differs from one request to the next; ``live`` says
    what is put where these stand, ``stance`` what else the page depends on beside its address and the language (few
    things).  Forms get their tokens.
    """
    ui = Ui.of(request)
    if ui.identity is not None or request.environ.get("QUERY_STRING") or messages_wait(request):
        return None
    fragments = request.registry["fragments"]
    key = ("kept", renderer, ui.locale, ui.read_only, ui.path, *stance)
    form: str | None = fragments.get(key)
    if form is None:
        with ui.marking(_CSRF, _PATH):
            form = render(renderer, values(), request=request).replace("%", "%%")
        for part in (_CSRF, _PATH, *live):
            form = form.replace(part, f"%({part})s")
        fragments.put(key, form, 4 * len(form))
    texts = {part: escape(text) for part, text in live.items()}
    response = request.response
    response.text = form % {**texts, _CSRF: ui.csrf_token, _PATH: ui.escaped_path}
    return response
