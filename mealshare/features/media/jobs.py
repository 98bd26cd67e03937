"""What happens to a picture after the answer: its variants are made, its files go, leftovers are swept up."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from pyramid.registry import Registry
from sqlalchemy import select

from mealshare.core.settings import settings_of
from mealshare.core.storage import NotStored, Storage
from mealshare.features.media.checks import LOST
from mealshare.features.media.events import MediaProcessed
from mealshare.features.media.files import files_of, original_file, variant_file
from mealshare.features.media.images import VARIANT_TYPE, ImageRefused, Rendition, make_variants
from mealshare.features.media.models import Media, MediaState
from mealshare.features.media.service import lock_with_post
from mealshare.features.media.settings import MediaSettings
from mealshare.features.media.sweep import sweep

PICTURE_REFUSED = "media.refused"
SWEPT = "media.swept"

log = logging.getLogger(__name__)


def process(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``media.process``: make the variants of the picture ``{media_id}``, and let its original go.

    Decoding happens outside of any transaction.  Harmless when it runs twice, or when the picture has gone meanwhile:
    then nothing of it stays.  A full disk makes the job fail, and it is tried again.
    """
    media_id: int = payload["media_id"]
    with registry["read_engine"].connect() as connection:
        row = connection.execute(select(Media.state, Media.storage_key).where(Media.id == media_id)).first()
    if row is None:
        return
    storage: Storage = registry["storage"]
    key: str = row.storage_key
    if row.state != MediaState.PROCESSING:
        # It was killed between its commit and its last step.
        storage.delete(original_file(key))
        return
    rendition, error = _render(storage, key, settings_of(registry, MediaSettings))
    if rendition is not None:
        for edge, variant in rendition.variants.items():
            storage.put(variant_file(key, edge), variant.data, str(VARIANT_TYPE))
    kept = _finish(registry, media_id, rendition, error)
    for file in [original_file(key)] if kept and rendition is not None else files_of(key):
        storage.delete(file)
    if error is not None:
        log.info(PICTURE_REFUSED, extra={"media": media_id, "code": error})


def delete_files(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``media.delete_files``: remove the files ``{keys}``; they need not be there."""
    storage: Storage = registry["storage"]
    for key in payload["keys"]:
        storage.delete(key)


def sweep_leftovers(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``media.sweep``, every hour: remove pictures that wait for nothing any more, and files without a picture."""
    swept = sweep(registry)
    if swept:
        log.info(SWEPT, extra=asdict(swept))


def _render(storage: Storage, key: str, settings: MediaSettings) -> tuple[Rendition | None, str | None]:
    """The rendition, or the code of why there is none."""
    try:
        with storage.open(original_file(key)) as file:
            data = file.read()
        return make_variants(data, limits=settings.limits), None
    except NotStored:
        return None, LOST
    except ImageRefused as refused:
        return None, refused.code


def _finish(registry: Registry, media_id: int, rendition: Rendition | None, error: str | None) -> bool:
    """Write down what came of it and tell; False when the picture has gone, or another worker has decided otherwise."""
    with registry["open_work"]() as work:
        media = lock_with_post(work.session, Media.id == media_id)
        if media is None:
            return False
        if media.state != MediaState.PROCESSING:
            return bool(media.state == MediaState.READY) is (rendition is not None)
        if rendition is None:
            media.state, media.error = MediaState.FAILED, error
        else:
            media.state, media.blurhash = MediaState.READY, rendition.blurhash
            media.width, media.height = rendition.width, rendition.height
        work.session.flush()
        work.publish(MediaProcessed(media.id, media.post_id))
    return True
