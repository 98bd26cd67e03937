"""View derivers that read options of their own, with types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyramid.request import Request
from pyramid.response import Response

View = Callable[[Any, Request], Response]


@dataclass(frozen=True, slots=True)
class ViewDeriver:
    """A view deriver for ``config.add_view_deriver``; ``options`` are those of ``add_view`` that Pyramid does not know.

    Pyramid reads them from an attribute of the deriver, which a plain function does not have.
    """

    derive: Callable[[View, Any], View]
    options: tuple[str, ...]

    def __call__(self, view: View, info: Any) -> View:
        """The view that stands in place of ``view``."""
        return self.derive(view, info)


def deriver(*options: str) -> Callable[[Callable[[View, Any], View]], ViewDeriver]:
    """Decorator: the function is a view deriver that takes ``options``."""

    def decorate(derive: Callable[[View, Any], View]) -> ViewDeriver:
        return ViewDeriver(derive, options)

    return decorate
