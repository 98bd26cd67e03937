"""What the addresses of pictures lead to."""

from __future__ import annotations

from dataclasses import dataclass

from pyramid.request import Request

from mealshare.core.ids import parse_id
from mealshare.features.media.queries import MediaRow, own_media


@dataclass(frozen=True)
class MediaItem:
    """One's own picture."""

    row: MediaRow

    @property
    def id(self) -> int:
        """The picture's id."""
        id: int = self.row["id"]
        return id

    @property
    def account_id(self) -> int:
        """Whose picture it is: what the rules ask."""
        account_id: int = self.row["account_id"]
        return account_id


class MediaItems:
    """``/api/media/{id}``: one's own pictures by id; for everybody else there are none."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, key: str) -> MediaItem:
        """The picture, or KeyError (404)."""
        identity = self.request.identity
        try:
            id = parse_id(key)
        except ValueError:
            raise KeyError(key) from None
        row = None if identity is None else own_media(self.request.conn, id, identity.account_id)
        if row is None:
            raise KeyError(key)
        return MediaItem(row)
