"""What tests of pictures do again and again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from mealshare.features.media.factory import media_service
from mealshare.features.media.images import ImageRefused, make_variants, probe
from mealshare.features.media.models import Media
from tests.features.media import corpus


def stored(registry: Any, prefix: str = "") -> list[str]:
    """Every file that is stored, unfinished ones included."""
    folder = registry["storage"].folder
    unfinished = [str(path) for path in folder.rglob(".unfinished-*")]
    return sorted(registry["storage"].keys(prefix)) + unfinished


def pictures(registry: Any) -> list[Media]:
    """Every row of media, in order of upload."""
    with registry["open_work"]() as work:
        return list(work.session.scalars(select(Media).order_by(Media.id)))


def upload(registry: Any, data: bytes, **owner: Any) -> int:
    """Upload by the service, and commit; gives the id."""
    with registry["open_work"]() as work:
        return int(media_service(work, registry).upload(data, **owner)["id"])


def undecodable() -> bytes:
    """A file whose header is right and whose picture cannot be decoded."""
    for data in corpus.mutations(corpus.samples()["image/webp"], count=200, seed=1):
        try:
            probe(data)
        except ImageRefused:
            continue
        try:
            make_variants(data)
        except ImageRefused:
            return data
    raise AssertionError("every mutation was either refused at once or shown")


def send(app: Any, headers: dict[str, str], data: bytes, name: str = "a.jpg", **options: Any) -> Any:
    """Upload over the API."""
    return app.post("/api/media", upload_files=[("file", name, data)], headers=headers, **options)
