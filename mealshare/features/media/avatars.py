"""The picture of a person: small, public, under an address that is new with each picture."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image
from sqlalchemy import select, update

from mealshare.core.errors import NotFound
from mealshare.core.storage import Storage
from mealshare.core.work import Work
from mealshare.features.accounts.events import ProfileChanged
from mealshare.features.accounts.models import Account
from mealshare.features.media.checks import check_picture, refusal
from mealshare.features.media.files import avatar_file, discard, new_key, put_with, storing
from mealshare.features.media.images import VARIANT_TYPE, ImageRefused, make_variants
from mealshare.features.media.service import DELETE_FILES
from mealshare.features.media.settings import MediaSettings

EDGE = 320
#: The longest side of what is cropped: a picture four times as wide as high still fills the square.
_ROUGH_EDGE = 4 * EDGE
_QUALITY = 82


def make_avatar(data: bytes, settings: MediaSettings, field: str = "file") -> bytes:
    """The square in the middle of a picture as WebP without metadata, 320 pixels wide (less, if it has less).

    Takes a fraction of a second for a large photo; not to be called while a write transaction is open.
    Raises TooLarge, UnsupportedType and InputInvalid at ``field``.
    """
    check_picture(data, settings, field)
    try:
        rough = make_variants(data, (_ROUGH_EDGE,), settings.limits).variants[_ROUGH_EDGE]
    except ImageRefused as refused:
        raise refusal(refused, field) from refused
    side = min(rough.width, rough.height)
    left, top = (rough.width - side) // 2, (rough.height - side) // 2
    edge = min(side, EDGE)
    with Image.open(io.BytesIO(rough.data), formats=["WEBP"]) as picture:
        square = picture.resize((edge, edge), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    target = io.BytesIO()
    square.save(target, "WEBP", quality=_QUALITY, exif=b"", xmp=b"", icc_profile=b"")
    return target.getvalue()


@dataclass(frozen=True)
class AvatarService:
    """Writes people's pictures in one unit of work."""

    work: Work
    storage: Storage

    def set(self, account_id: int, avatar: bytes) -> str:
        """Let the account have the picture that `make_avatar` made; the key of its address.

        The old one goes after the commit.  Raises NotFound, StorageExhausted and StorageAway.
        """
        key = new_key()
        file = avatar_file(key)
        with storing():
            put_with(self.work.session, self.storage, file, avatar, str(VARIANT_TYPE))
        try:
            self._replace(account_id, key)
        except BaseException:
            discard(self.storage, file)
            raise
        return key

    def remove(self, account_id: int) -> None:
        """Let the account have no picture.  Raises NotFound."""
        self._replace(account_id, None)

    def _replace(self, account_id: int, key: str | None) -> None:
        session = self.work.session
        row = session.execute(
            select(Account.avatar_key).where(Account.id == account_id).with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFound
        if row.avatar_key == key:
            return
        session.execute(
            update(Account).where(Account.id == account_id).values(avatar_key=key, version=Account.version + 1)
        )
        if row.avatar_key is not None:
            self.work.enqueue(DELETE_FILES, {"keys": [avatar_file(row.avatar_key)]})
        self.work.publish(ProfileChanged(account_id))
