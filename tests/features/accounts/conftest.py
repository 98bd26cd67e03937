"""The small site of these tests."""

from __future__ import annotations

from tests.features.accounts.site import browser, site

__all__ = ["browser", "site"]
