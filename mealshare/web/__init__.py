"""The HTML face, shared part: layout, static files, forms, flash messages, slots, error pages."""

from __future__ import annotations

from pyramid.config import Configurator
from pyramid.events import BeforeRender
from pyramid.viewderivers import INGRESS

from mealshare.web.flash import flash
from mealshare.web.static import reads_only, static_version
from mealshare.web.ui import Ui, add_slot


def _add_globals(event: BeforeRender) -> None:
    request = event.get("request")
    # JSON has no use for it, and what it needs (who reads, in which language) would be found out for nothing.
    if request is not None and event.get("renderer_name") != "json":
        event["ui"] = Ui.of(request)


def includeme(config: Configurator) -> None:
    """Install the face; features add routes and templates of their own."""
    config.include("mealshare.web.compiled")
    config.include("pyramid_chameleon")
    registry = config.registry
    version = static_version()
    registry["static_prefix"] = f"/static/{version}"
    registry["slots"] = {}
    config.add_directive("add_slot", add_slot, action_wrap=False)
    # Before CSRF: no token would make the method a right one.
    config.add_view_deriver(reads_only, name="reads_only", under=INGRESS, over="csrf_first")
    # The address changes with the content, so that a browser may keep it for ever; relative imports stay inside it.
    config.add_static_view(f"static/{version}", "mealshare:web/static", cache_max_age=31_536_000)
    config.add_static_view("static", "mealshare:web/static", cache_max_age=3600)
    config.add_request_method(flash, "flash")
    config.add_subscriber(_add_globals, BeforeRender)
    config.include("mealshare.web.errors")
    config.include("mealshare.web.pages")
