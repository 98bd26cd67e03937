"""Which files belong to a picture, and how a file goes when the transaction that needs it does not come about.

Every picture has one random key.  It is in the name of the original, which is never served, and in those of the
variants.  The names lie side by side, so that the storage can fan them out.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from mealshare.core.errors import StorageAway, StorageExhausted
from mealshare.core.storage import Storage, StorageError, StorageFull
from mealshare.features.media.images import VARIANT_EDGES

ORIGINALS, VARIANTS, AVATARS = "originals/", "media/", "avatars/"
#: Length of a random key: 128 bits in hexadecimal digits.
KEY_LENGTH = 32
_PENDING = "mealshare_media_files"

LEFT = "media.file_left"

log = logging.getLogger(__name__)


def new_key() -> str:
    """A key that cannot be guessed."""
    return secrets.token_hex(KEY_LENGTH // 2)


def original_file(key: str) -> str:
    """Where the picture lies as it was uploaded, until its variants are made."""
    return f"{ORIGINALS}{key}"


def variant_file(key: str, edge: int) -> str:
    """Where the variant with the longest side ``edge`` lies."""
    return f"{VARIANTS}{key}-{edge}.webp"


def avatar_file(key: str) -> str:
    """Where an avatar lies."""
    return f"{AVATARS}{key}.webp"


def files_of(key: str) -> list[str]:
    """All files that the picture with this key may have."""
    return [original_file(key), *(variant_file(key, edge) for edge in VARIANT_EDGES)]


def key_of(file: str) -> str:
    """The key in the name of a file."""
    return file.rpartition("/")[2][:KEY_LENGTH]


def put_with(session: Session, storage: Storage, file: str, data: bytes, content_type: str) -> None:
    """Store ``data``; if the transaction of ``session`` ends without a commit, the file goes.

    What a killed process leaves behind, the sweep finds.  To be called before the transaction's first statement where
    that can be chosen: a disk takes its time, and a write transaction keeps others waiting.
    """
    storage.put(file, data, content_type)
    pending: list[tuple[Storage, str]] | None = session.info.get(_PENDING)
    if pending is None:
        pending = session.info[_PENDING] = []
        event.listen(session, "after_commit", _keep)
        event.listen(session, "after_transaction_end", _forget)
    pending.append((storage, file))


@contextmanager
def storing() -> Iterator[None]:
    """What the storage cannot do in here is told as whoever uploads hears it: StorageExhausted or StorageAway."""
    try:
        yield
    except StorageFull:
        raise StorageExhausted from None
    except StorageError as error:
        raise StorageAway from error


def discard(storage: Storage, file: str) -> None:
    """Remove a file that nothing needs; one that the storage cannot remove now is left to the sweep.

    For where something has failed already, which must be told and not this.
    """
    try:
        storage.delete(file)
    except StorageError as error:
        log.warning(LEFT, extra={"file": file, "reason": str(error)})


def _keep(session: Session) -> None:
    # The end of a savepoint is told in the same way, and decides nothing.
    if not session.in_nested_transaction():
        session.info[_PENDING].clear()


def _forget(session: Session, transaction: Any) -> None:
    if transaction.parent is None:
        pending: list[tuple[Storage, str]] = session.info[_PENDING]
        while pending:
            discard(*pending.pop())
