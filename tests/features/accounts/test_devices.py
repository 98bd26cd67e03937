"""The words for a browser."""

from __future__ import annotations

import pytest

from mealshare.core.i18n import translate
from mealshare.features.accounts.devices import describe

WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"


@pytest.mark.parametrize(
    ("user_agent", "words", "icon"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux", "monitor"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 Edg/140.0", "Edge on Windows", "monitor"),
        (f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {CHROME} Mobile Safari/537.36", "Chrome on Android", "smartphone"),
        (f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) {WEBKIT} Safari/604.1", "Safari on iPhone", "smartphone"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X) {WEBKIT} Safari/605", "Safari on macOS", "monitor"),
        ("curl/8.9.1", "The program curl", "code"),
        ("MealApp for Android/1.2", "The program MealApp for Android", "code"),
        ("", "An unknown device", "monitor"),
        ("Mozilla/5.0", "An unknown device", "monitor"),
        ("<script>/1", "An unknown device", "monitor"),
    ],
)  # fmt: skip
def test_devices_in_words(user_agent: str, words: str, icon: str) -> None:
    device = describe(user_agent)
    assert translate(device.words, "en") == words
    assert device.icon == icon
