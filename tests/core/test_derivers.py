"""View derivers with options of their own."""

from __future__ import annotations

from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp

from mealshare.core.derivers import View, deriver


@deriver("loud")
def loud(view: View, info: Any) -> View:
    """Shouts where the view says ``loud=True``."""
    if not info.options.get("loud"):
        return view
    return lambda context, request: Response(view(context, request).text.upper())


def say(context: Any, request: Request) -> Response:
    return Response("soup")


def test_a_deriver_has_options_that_pyramid_then_knows() -> None:
    config = Configurator()
    config.add_view_deriver(loud, name="loud")
    for name in ("quiet", "loud"):
        config.add_route(name, f"/{name}")
        config.add_view(say, route_name=name, loud=name == "loud")
    app = TestApp(config.make_wsgi_app())
    assert (app.get("/quiet").text, app.get("/loud").text) == ("soup", "SOUP")


def test_without_the_deriver_the_option_is_an_error() -> None:
    config = Configurator()
    config.add_view(say, loud=True)
    with pytest.raises(ConfigurationError):
        config.commit()
