"""MealShare itself, with the settings of production and limits that nobody reaches."""

from __future__ import annotations

from typing import Any

from benchmarks.settings import settings_of
from mealshare import main

KIND = "wsgi"


def make_app(url: str) -> Any:
    """The application."""
    return main({}, **settings_of(url))
