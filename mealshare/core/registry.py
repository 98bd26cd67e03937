"""The application's registry: Pyramid's, which spares the router the events that nobody listens to.

Pyramid's router tells of four events in each request as soon as anybody listens to anything, and we do listen to others:
to those before a template and before another attempt.
"""

from __future__ import annotations

from pyramid.config import Configurator
from pyramid.events import BeforeTraversal, ContextFound, NewRequest, NewResponse
from pyramid.registry import Registry
from zope.interface import implementedBy

#: After every action that adds a subscriber (Pyramid's own order is 0).
_ORDER = 8_000
_OF_THE_ROUTER = (NewRequest, BeforeTraversal, ContextFound, NewResponse)


class SiteRegistry(Registry):  # type: ignore[misc]
    """``has_listeners`` is what the router asks, and true if one of its own events has a listener."""

    def notify(self, *events: object) -> None:
        """Tell whoever listens, whatever the router thinks of it."""
        for _told in self.subscribers(events, None):
            pass


def _listen(config: Configurator) -> None:
    registry = config.registry
    if isinstance(registry, SiteRegistry):
        # By class: that finds who listens to the class, and who listens to its interface.
        registry.has_listeners = any(
            registry.adapters.subscriptions((implementedBy(event),), None) for event in _OF_THE_ROUTER
        )


def includeme(config: Configurator) -> None:
    """Find out at the end who listens; a subscriber that is added later is told of everything, as ever."""
    config.action("mealshare.registry", _listen, args=(config,), order=_ORDER)
