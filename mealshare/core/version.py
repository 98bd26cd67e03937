"""Which MealShare this is; at the bottom, so that everybody may say it."""

from __future__ import annotations

#: https://semver.org
__version__ = "0.1.0"
