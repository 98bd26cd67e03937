"""The class of all requests, with everything that ``config.add_request_method`` adds built into it.

Pyramid adds properties to each request by making a class for it, which takes 33 times as long as making the request.  Here
one class is made when the configuration is complete.  What is added later still comes about in Pyramid's way.
"""

from __future__ import annotations

import io
from types import SimpleNamespace

from pyramid.config import Configurator
from pyramid.interfaces import IRequestExtensions, IRequestFactory
from pyramid.request import Request

#: After every action that adds a method (Pyramid's own order is 0) and before anything that needs requests.
_ORDER = 8_000


class SiteRequest(Request):  # type: ignore[misc]
    """A request of this site."""

    def make_body_seekable(self) -> None:
        """As WebOb's, which pyramid_retry calls for each request; where the client says that there is nothing, at once."""
        environ = self.environ
        if environ.get("CONTENT_LENGTH") == "0":
            environ["wsgi.input"] = io.BytesIO()
            environ["webob.is_body_seekable"] = True
        else:
            super().make_body_seekable()


def _build_in(config: Configurator) -> None:
    """Make the class, and leave nothing for Pyramid to add."""
    registry = config.registry
    added = registry.queryUtility(IRequestExtensions)
    if added is None:
        return
    known = registry.queryUtility(IRequestFactory, default=SiteRequest)
    made = type(known.__name__, (known,), {**added.methods, **added.descriptors, "__module__": known.__module__})
    registry.registerUtility(made, IRequestFactory)
    registry.registerUtility(SimpleNamespace(methods={}, descriptors={}), IRequestExtensions)


def includeme(config: Configurator) -> None:
    """Use the class, and build the rest in at the end."""
    config.set_request_factory(SiteRequest)
    config.action("mealshare.request", _build_in, args=(config,), order=_ORDER)
