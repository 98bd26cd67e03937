"""Every write to pictures: upload, attach to a post, describe, remove; and the baskets of visitors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from mealshare.core.errors import FieldError, InputInvalid, NotFound
from mealshare.core.ids import new_id
from mealshare.core.security.tokens import hash_token, new_token
from mealshare.core.storage import Storage
from mealshare.core.work import Work
from mealshare.features.media.checks import check_description, check_picture
from mealshare.features.media.events import MediaDescribed, MediaRemoved
from mealshare.features.media.files import discard, files_of, new_key, original_file, put_with, storing
from mealshare.features.media.models import Media, MediaState, UploadBasket
from mealshare.features.media.queries import COLUMNS, POST_LOCK, BasketView, MediaRow, basket_values
from mealshare.features.media.settings import MediaSettings

PROCESS = "media.process"
DELETE_FILES = "media.delete_files"
#: A basket may hold more than a meal shows, because what the visitor took out of the form stays in it for a day.
MAX_IN_BASKET = 20


@dataclass(frozen=True)
class MediaService:
    """Writes pictures in one unit of work."""

    work: Work
    storage: Storage
    settings: MediaSettings

    def upload(
        self, data: bytes, *, account_id: int | None = None, basket_id: int | None = None, description: str = ""
    ) -> MediaRow:
        """Keep a picture for an account or in a basket, and leave behind the job that makes its variants.

        The file is looked at before anything is written.  If the transaction does not come about, the file goes again.
        Raises TooLarge, UnsupportedType, InputInvalid (``file``, ``description``, ``media``), StorageExhausted, StorageAway.
        """
        if (account_id is None) == (basket_id is None):
            raise ValueError("a picture belongs to an account or lies in a basket")
        description = check_description(description)
        found = check_picture(data, self.settings)
        media = Media(
            id=new_id(), account_id=account_id, basket_id=basket_id, post_id=None, position=0, description=description,
            state=MediaState.PROCESSING, storage_key=new_key(),
        )  # fmt: skip
        session, original = self.work.session, original_file(media.storage_key)
        with storing():
            put_with(session, self.storage, original, data, found.type)
        try:
            # Only now, because it begins the transaction, in which nobody should wait for a disk.
            if basket_id is not None:
                self._check_room(basket_id)
            session.add(media)
            session.flush()
            self.work.enqueue(PROCESS, {"media_id": media.id})
        except BaseException:
            # A database that is away never began the transaction whose end would remove the file.
            discard(self.storage, original)
            raise
        return as_row(media)

    def attach(self, account_id: int, post_id: int, items: Sequence[tuple[int, str | None]]) -> bool:
        """Let the account's post show exactly the pictures ``items`` (id, words or None: as they are), in this order.

        Each must be the account's, and in no other post.  What the post showed before and is not listed is removed.
        True when anything changed: the pictures, their order or their words.  Raises InputInvalid, one error for each.
        """
        if len(items) > self.settings.per_post:
            raise InputInvalid.of("media", "too_many", max=self.settings.per_post)
        ids = [id for id, _ in items]
        rows = {media.id: media for media in self._locked(or_(Media.id.in_(ids), Media.post_id == post_id))}
        errors: list[FieldError] = []
        for index, id in enumerate(ids):
            media = rows.get(id)
            if media is None or media.account_id != account_id or media.post_id not in (None, post_id):
                errors.append(FieldError(f"media/{index}", "media_not_found"))
            elif id in ids[:index]:
                errors.append(FieldError(f"media/{index}", "duplicate"))
        if errors:
            raise InputInvalid(*errors)
        removed = [media for media in rows.values() if media.id not in ids]
        changed = bool(removed)
        for position, (id, words) in enumerate(items):
            media = rows[id]
            wanted = (post_id, position, media.description if words is None else check_description(words))
            changed |= (media.post_id, media.position, media.description) != wanted
            media.post_id, media.position, media.description = wanted
            media.basket_id = None
        self._delete(removed)
        return changed

    def hold(self, account_id: int, media_id: int) -> MediaRow:
        """The account's picture as it is now; nobody else changes it in this transaction.  Raises NotFound."""
        return as_row(self._own(account_id, media_id))

    def describe(self, account_id: int, media_id: int, description: str) -> MediaRow:
        """Change the words for the account's picture.  Raises NotFound and InputInvalid."""
        media = self._own(account_id, media_id)
        words = check_description(description)
        if words != media.description:
            media.description = words
            self.work.session.flush()
            if media.post_id is not None:
                self.work.publish(MediaDescribed(media.id, media.post_id))
        return as_row(media)

    def remove(self, account_id: int, media_id: int) -> None:
        """Remove the account's picture; its files go after the commit.  Raises NotFound."""
        media = self._own(account_id, media_id)
        self._delete([media])
        if media.post_id is not None:
            self.work.publish(MediaRemoved(media.id, media.post_id))

    def remove_of_post(self, post_id: int) -> None:
        """Remove all pictures of a post; their files go after the commit."""
        self._delete(self._locked(Media.post_id == post_id))

    def open_basket(self, token: str | None) -> tuple[UploadBasket, str]:
        """The open basket of ``token`` (a new one, if there is none), to be written to, and its token."""
        basket = self._basket(token)
        if basket is None or token is None:
            token = new_token()
            basket = UploadBasket(id=new_id(), token_hash=hash_token(token), form="{}")
            self.work.session.add(basket)
            self.work.session.flush()
        return basket, token

    def claim_basket(self, token: str, account_id: int) -> BasketView | None:
        """Give what is in the basket to the account, and do away with the basket; None when there is none."""
        basket = self._basket(token)
        if basket is None:
            return None
        owned = self._locked(Media.basket_id == basket.id)
        for media in owned:
            media.account_id, media.basket_id = account_id, None
        form: dict[str, Any] = orjson.loads(basket.form)
        self.work.session.flush()
        self.work.session.delete(basket)
        self.work.session.flush()
        return BasketView(form, [as_row(media) for media in owned])

    def _basket(self, token: str | None) -> UploadBasket | None:
        if not token:
            return None
        values = basket_values(token)
        statement = select(UploadBasket).where(
            UploadBasket.token_hash == values["token_hash"], UploadBasket.created_at > values["oldest"]
        )
        return self.work.session.scalar(statement.with_for_update())

    def _check_room(self, basket_id: int) -> None:
        count = select(func.count()).select_from(Media).where(Media.basket_id == basket_id)
        if (self.work.session.scalar(count) or 0) >= MAX_IN_BASKET:
            raise InputInvalid.of("media", "too_many", max=MAX_IN_BASKET)

    def _own(self, account_id: int, media_id: int) -> Media:
        found = lock_with_post(self.work.session, (Media.id == media_id) & (Media.account_id == account_id))
        if found is None:
            raise NotFound
        return found

    def _locked(self, condition: Any) -> Sequence[Media]:
        """The pictures, for whoever holds their post already, or wants no post."""
        return _lock(self.work.session, condition)

    def _delete(self, pictures: Iterable[Media]) -> None:
        files: list[str] = []
        for media in pictures:
            files += files_of(media.storage_key)
            self.work.session.delete(media)
        self.work.session.flush()
        if files:
            self.work.enqueue(DELETE_FILES, {"keys": files})


def lock_with_post(session: Session, condition: Any) -> Media | None:
    """The picture that ``condition`` chooses, locked for a change, and before it the post that shows it; None without one.

    Whoever changes a post locks it first and then its pictures; in the other order the two would wait in a circle.
    Which post it is has to be asked before, without a lock.  If a post has taken the picture meanwhile, the lock is given
    back, as it is by rolling back to a savepoint, and it is asked again: a picture never goes from post to post.
    """
    while True:
        post_id = session.scalar(select(Media.post_id).where(condition))
        if post_id is not None:
            session.execute(POST_LOCK, {"post_id": post_id})
        with session.begin_nested() as savepoint:
            found = _lock(session, condition)
            if not found or found[0].post_id in (post_id, None):
                return found[0] if found else None
            savepoint.rollback()


def _lock(session: Session, condition: Any) -> Sequence[Media]:
    """The pictures, locked in the order of their ids and read anew: another transaction may want the same ones."""
    statement = select(Media).where(condition).order_by(Media.id).with_for_update()
    return session.scalars(statement.execution_options(populate_existing=True)).all()


def as_row(media: Media) -> MediaRow:
    """The picture in the shape that queries give."""
    return {column.key: getattr(media, column.key) for column in COLUMNS}
