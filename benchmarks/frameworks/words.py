"""What a meal needs in every framework: ids, a note as HTML, tags, tokens, addresses.  Cheaper than MealShare's own."""

from __future__ import annotations

import html
import random
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import jwt

from tests.sites import site_settings

BASE_URL = "http://localhost"
PAGE = 20
MAX_ID = 2**63 - 1
#: What everybody may see by its address; lists have the first only.
OPEN = ("public", "unlisted")
LABELS = {
    "breakfast": "Breakfast", "brunch": "Brunch", "lunch": "Lunch", "snack": "Snack", "dinner": "Dinner",
    "late_night": "Late-night bite", "drink": "Drink",
}  # fmt: skip
_SECRET = site_settings(Path(), "", "")["jwt.secret"]
_HASHTAG = re.compile(r"#(\w+)")


class Unauthorized(Exception):
    """The token is missing, or not good."""


def new_id() -> int:
    """A snowflake as MealShare makes them, with chance instead of a counter."""
    return (time.time_ns() // 1_000_000 << 16) | random.getrandbits(16)


def claims_of(header: str | None) -> dict[str, Any]:
    """What the bearer token in an ``Authorization`` header says, checked by PyJWT; raises Unauthorized."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthorized
    try:
        claims: dict[str, Any] = jwt.decode(token, _SECRET, algorithms=["HS256"], audience=BASE_URL, issuer=BASE_URL)
    except jwt.InvalidTokenError as error:
        raise Unauthorized from error
    return claims


def all_tags(typed: Sequence[str], note: str) -> list[str]:
    """The tags of a meal, those of its note included, each once."""
    return list({tag.casefold(): tag for tag in (*typed, *_HASHTAG.findall(note))}.values())


def note_html(note: str) -> str:
    """A note with its hashtags as links."""
    if not note:
        return ""
    paragraphs = html.escape(note, quote=False).split("\n\n")
    link = f'<a href="{BASE_URL}/tags/\\1" class="hashtag" rel="tag">#\\1</a>'
    return "".join(f"<p>{_HASHTAG.sub(link, text).replace(chr(10), '<br>')}</p>" for text in paragraphs)


def place_path(name: str) -> str:
    """The address of a place's page."""
    return "/places/" + quote(name, safe="")


def utc(moment: datetime) -> datetime:
    """The moment as an aware one: SQLite knows no zones."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def iso(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return utc(moment).isoformat()


def day_of(moment: datetime, zone: str) -> Any:
    """The date on the eater's wall."""
    return utc(moment).astimezone(ZoneInfo(zone)).date()


def next_link(path: str, last: int) -> str:
    """The ``Link`` header to older meals."""
    return f'<{BASE_URL}{path}?max_id={last}>; rel="next"'
