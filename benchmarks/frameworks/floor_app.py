"""The floor: one statement of the database's driver, and orjson.  No framework, no address, no header.

Whatever answers these requests has to read the same rows and write the same members; this is what that alone costs.
The whole page comes from one statement, photos included, and rows become dictionaries by position.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import orjson
import psycopg
from sqlalchemy import make_url

from benchmarks.frameworks.words import BASE_URL, MAX_ID, PAGE

KIND = "calls"
_PHOTO = (
    f"'id', CAST(m.id AS text), 'url', '{BASE_URL}/media/' || m.storage_key || '/1600.webp',"
    f" 'preview_url', '{BASE_URL}/media/' || m.storage_key || '/400.webp', 'description', m.description,"
    " 'blurhash', m.blurhash, 'width', m.width, 'height', m.height"
)
_PHOTOS = {
    "sqlite": f"SELECT json_group_array(json_object({_PHOTO})) FROM"
    " (SELECT * FROM media WHERE post_id = p.id ORDER BY position) m",
    "postgresql": f"SELECT CAST(coalesce(json_agg(json_build_object({_PHOTO}) ORDER BY m.position), '[]') AS text)"
    " FROM media m WHERE m.post_id = p.id",
}
_COLUMNS = (
    "p.id, p.url, p.food, p.note, p.note_html, p.meal_type, p.eaten_at, p.time_zone, p.created_at, p.visibility,"
    " p.likes_count, p.comments_count, p.ate_too_count, CAST(p.tag_names AS text), a.username, a.display_name, a.url,"
    " l.name, l.city, l.country_code"
)
_FROM = "FROM posts p JOIN accounts a ON a.id = p.account_id LEFT JOIN places l ON l.id = p.place_id"
_LIVING = "p.kind = 'meal' AND p.deleted_at IS NULL AND a.suspended_at IS NULL"


class Floor:
    """The requests as functions that give bytes."""

    def __init__(self, url: str) -> None:
        """Connect to the database at ``url`` (SQLAlchemy's form)."""
        made = make_url(url)
        self.dialect = made.get_backend_name()
        columns = f"{_COLUMNS}, ({_PHOTOS[self.dialect]})"
        mark = "?" if self.dialect == "sqlite" else "%s"
        self._feed = (
            f"SELECT {columns} {_FROM} WHERE {_LIVING} AND p.visibility = 'public' AND p.id < {mark}"
            f" ORDER BY p.id DESC LIMIT {PAGE + 1}"
        )
        self._one = (
            f"SELECT {columns} {_FROM} WHERE {_LIVING} AND p.id = {mark} AND p.visibility IN ('public', 'unlisted')"
        )
        if self.dialect == "sqlite":
            self.connection: Any = sqlite3.connect(str(made.database), isolation_level=None)
        else:
            plain = made.set(drivername="postgresql").render_as_string(hide_password=False)
            self.connection = psycopg.connect(plain, autocommit=True)

    def feed(self) -> bytes:
        """The public feed."""
        rows = self.connection.execute(self._feed, (MAX_ID,)).fetchall()
        return orjson.dumps([_meal(row) for row in rows[:PAGE]])

    def meal(self, id: int) -> bytes:
        """One meal."""
        return orjson.dumps(_meal(self.connection.execute(self._one, (id,)).fetchone()))


def _meal(row: Any) -> dict[str, Any]:
    return {
        "id": str(row[0]), "url": row[1], "food": row[2], "note": row[3], "note_html": row[4], "meal_type": row[5],
        "eaten_at": row[6], "time_zone": row[7], "created_at": row[8], "visibility": row[9], "likes_count": row[10],
        "comments_count": row[11], "ate_too_count": row[12], "tags": [{"name": name} for name in orjson.loads(row[13])],
        "user": {"username": row[14], "display_name": row[15], "url": row[16]},
        "place": None if row[17] is None else {"name": row[17], "city": row[18], "country_code": row[19]},
        "media": orjson.Fragment(row[20]),
    }  # fmt: skip


def make_app(url: str) -> Floor:
    """The functions."""
    return Floor(url)
