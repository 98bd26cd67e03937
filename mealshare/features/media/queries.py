"""What is read of pictures: statements built once, at import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import BigInteger, Connection, LargeBinary, bindparam, column, or_, select, table

from mealshare.core.clock import now
from mealshare.core.db import UTCDateTime, fetch, fetch_one
from mealshare.core.ids import parse_id
from mealshare.core.security.tokens import hash_token
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import viewer_id, visible
from mealshare.features.media.models import Media, MediaState, UploadBasket

#: The cookie that holds the token of a visitor's basket, and how long the basket is kept.
BASKET_COOKIE = "basket"
BASKET_LIFETIME = timedelta(hours=24)

#: A row of media as every caller gets it.
MediaRow = Mapping[str, Any]
COLUMNS = (
    Media.id, Media.account_id, Media.post_id, Media.position, Media.description, Media.state, Media.error,
    Media.storage_key, Media.blurhash, Media.width, Media.height,
)  # fmt: skip


@dataclass(frozen=True)
class BasketView:
    """What waits for a visitor to register: the words of the form, and the pictures in order of their upload."""

    form: dict[str, Any]
    media: Sequence[MediaRow]


#: Posts belong to a higher feature; these columns are what `visible` asks of any kind of post.
_POSTS = table("posts", column("id"), column("account_id"), column("visibility"), column("deleted_at"))

#: The post that shows a picture, for whoever changes the picture: everybody locks a post before its pictures.
POST_LOCK = (
    select(_POSTS.c.id).where(_POSTS.c.id == bindparam("post_id", type_=BigInteger)).with_for_update(key_share=True)
)

_OWN = select(*COLUMNS).where(Media.id == bindparam("id", type_=BigInteger), Media.account_id == viewer_id())
_WAITING = (
    select(*COLUMNS)
    .where(Media.id.in_(bindparam("ids", expanding=True)), Media.account_id == viewer_id(), Media.post_id.is_(None))
    .order_by(Media.id)
)
_IN_BASKET = (
    select(*COLUMNS)
    .where(Media.basket_id == bindparam("basket", type_=BigInteger), Media.post_id.is_(None))
    .order_by(Media.id)
)
_open_basket = (
    UploadBasket.token_hash == bindparam("token_hash", type_=LargeBinary),
    UploadBasket.created_at > bindparam("oldest", type_=UTCDateTime),
)
_BASKET = select(UploadBasket.id, UploadBasket.form).where(*_open_basket)
#: The outer joins leave a picture without a post with nothing that is visible; the other two lines are for it.
_SHOWN = (
    select(Media.id)
    .outerjoin(_POSTS, _POSTS.c.id == Media.post_id)
    .outerjoin(Account, Account.id == _POSTS.c.account_id)
    .outerjoin(UploadBasket, UploadBasket.id == Media.basket_id)
    .where(
        Media.storage_key == bindparam("key"),
        Media.state == MediaState.READY.value,
        or_(
            visible(_POSTS.c, Account),
            Media.post_id.is_(None) & (Media.account_id == viewer_id()),
            Media.post_id.is_(None) & _open_basket[0] & _open_basket[1],
        ),
    )
)


def basket_values(token: str | None) -> dict[str, Any]:
    """The parameters that choose the basket of ``token`` while it is open; without a token they choose none."""
    return {"token_hash": hash_token(token) if token else b"", "oldest": now() - BASKET_LIFETIME}


def own_media(connection: Connection, media_id: int, account_id: int) -> MediaRow | None:
    """The account's picture with that id, whatever its state, or None."""
    row = fetch_one(connection, _OWN, {"id": media_id, "viewer": account_id})
    return None if row is None else row._asdict()


def waiting_media(connection: Connection, account_id: int, ids: Sequence[str]) -> list[MediaRow]:
    """Those of the account's pictures that ``ids`` name and no post shows; what is no id names none."""
    known = [id for id in map(_id_or_none, ids[:100]) if id is not None]
    return [row._asdict() for row in fetch(connection, _WAITING, {"ids": known, "viewer": account_id})] if known else []


def shown_media(connection: Connection, key: str, viewer: int, basket_token: str | None) -> int | None:
    """The id of the picture with that key if the viewer (0: a visitor, perhaps with a basket) may see it; else None.

    That is: it is ready, and its post is visible, or it is in no post yet and the viewer's own.
    """
    row = fetch_one(connection, _SHOWN, {"key": key, "viewer": viewer, **basket_values(basket_token)})
    return None if row is None else int(row[0])


def media_in_basket(connection: Connection, basket_id: int) -> list[MediaRow]:
    """The pictures of a basket."""
    return [row._asdict() for row in fetch(connection, _IN_BASKET, {"basket": basket_id})]


def find_basket(connection: Connection, token: str) -> BasketView | None:
    """What waits in the basket of ``token``, or None when there is none or it is too old."""
    row = fetch_one(connection, _BASKET, basket_values(token))
    return None if row is None else BasketView(orjson.loads(row.form), media_in_basket(connection, row.id))


def unattached_before(moment: datetime, limit: int) -> Any:
    """Select: pictures older than ``moment`` that are in no post and no basket."""
    return (
        select(Media)
        .where(Media.post_id.is_(None), Media.basket_id.is_(None), Media.created_at < moment)
        .order_by(Media.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )


def baskets_before(moment: datetime, limit: int) -> Any:
    """Select: baskets older than ``moment``."""
    return (
        select(UploadBasket)
        .where(UploadBasket.created_at < moment)
        .order_by(UploadBasket.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )


def known_keys(connection: Connection, keys: Sequence[str], *, processing: bool = False) -> set[str]:
    """Those of ``keys`` that pictures have (with ``processing``: pictures that still need their original)."""
    statement = select(Media.storage_key).where(Media.storage_key.in_(keys))
    if processing:
        statement = statement.where(Media.state == MediaState.PROCESSING)
    return set(connection.scalars(statement))


def known_avatars(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Those of ``keys`` that are somebody's avatar."""
    return {key for key in connection.scalars(select(Account.avatar_key).where(Account.avatar_key.in_(keys))) if key}


def _id_or_none(text: str) -> int | None:
    try:
        return parse_id(text)
    except ValueError:
        return None
