"""Reading meals: one statement for a list, whatever its length; rows become cards, which both faces present.

Every statement is built once, at import.  Conditions on what may be seen come from `accounts.visibility` and stand as
literals, so that the partial indexes serve; the page size is a literal too, for one prepared plan each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    column,
    exists,
    literal_column,
    or_,
    select,
    table,
)

from mealshare.core.db import Page, Window, fetch, fetch_one, make_page, mask_of
from mealshare.core.db.json_rows import json_list, json_object
from mealshare.core.text import normalise_tag
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import ANONYMOUS, listed, viewer_id, visible
from mealshare.features.meals.models import Meal, Place, Post, PostTag, Tag
from mealshare.features.meals.places import place_key
from mealshare.features.meals.vocabulary import Allergen, Diet
from mealshare.features.media.models import Media

LIKES = table("likes", column("id", BigInteger), column("post_id", BigInteger), column("account_id", BigInteger))
IS_MEAL = Post.kind == literal_column("'meal'")


@dataclass
class Card:
    """A meal as lists and pages show it: with author, place and pictures, and whether the viewer liked it."""

    id: int
    version: int
    author_version: int
    account_id: int
    username: str
    display_name: str
    avatar_key: str | None
    author_url: str
    uri: str
    url: str
    food: str
    note: str
    note_html: str
    meal_type: str
    eaten_at: datetime
    time_zone: str
    eaten_on: date
    created_at: datetime
    edited_at: datetime | None
    visibility: str
    sensitive: bool
    spoiler_text: str
    language: str | None
    source: str | None
    tag_names: list[str]
    diets: tuple[Diet, ...]
    allergens_contained: tuple[Allergen, ...]
    allergens_free_from: tuple[Allergen, ...]
    recipe_url: str | None
    inspired_by_id: int | None
    likes_count: int
    comments_count: int
    ate_too_count: int
    place_name: str | None
    place_city: str | None
    place_country: str | None
    place_latitude: float | None
    place_longitude: float | None
    media: list[dict[str, Any]]
    like_id: int | None = None

    @property
    def liked(self) -> bool:
        """Whether the viewer said "Yum!"."""
        return self.like_id is not None


_MEDIA = (
    select(
        json_list(
            json_object(
                literal_column("'id'"),
                Media.id,
                literal_column("'position'"),
                Media.position,
                literal_column("'description'"),
                Media.description,
                literal_column("'state'"),
                Media.state,
                literal_column("'storage_key'"),
                Media.storage_key,
                literal_column("'blurhash'"),
                Media.blurhash,
                literal_column("'width'"),
                Media.width,
                literal_column("'height'"),
                Media.height,
            )
        )
    )
    .where(Media.post_id == Post.id)
    .correlate(Post)
    .scalar_subquery()
)

_COLUMNS = (
    Post.id,
    Post.version,
    Account.version,
    Post.account_id,
    Account.username,
    Account.display_name,
    Account.avatar_key,
    Account.url,
    Post.uri,
    Post.url,
    Post.food,
    Post.note,
    Post.note_html,
    Post.meal_type,
    Post.eaten_at,
    Post.time_zone,
    Post.eaten_on,
    Post.created_at,
    Post.edited_at,
    Post.visibility,
    Post.sensitive,
    Post.spoiler_text,
    Post.language,
    Post.source,
    Post.tag_names,
    Post.diets,
    Post.allergens_contained,
    Post.allergens_free_from,
    Post.recipe_url,
    Post.inspired_by_id,
    Post.likes_count,
    Post.comments_count,
    Post.ate_too_count,
    Place.name,
    Place.city,
    Place.country_code,
    Place.latitude,
    Place.longitude,
    _MEDIA,
)


def cards(*, personal: bool) -> Select[Any]:
    """All meals as card rows; ``personal`` adds whether the viewer liked each, at the price of a join."""
    source = Post.__table__.join(Account.__table__, Account.id == Post.account_id).outerjoin(
        Place.__table__, Place.id == Post.place_id
    )
    if not personal:
        return select(*_COLUMNS).select_from(source).where(IS_MEAL)
    source = source.outerjoin(LIKES, and_(LIKES.c.post_id == Post.id, LIKES.c.account_id == viewer_id()))
    return select(*_COLUMNS, LIKES.c.id).select_from(source).where(IS_MEAL)


def _limit() -> Any:
    return bindparam("limit", type_=Integer, literal_execute=True)


@dataclass(frozen=True)
class CardList:
    """A list of meals in its four forms: for a visitor and for a person, downwards and upwards."""

    forms: Mapping[tuple[bool, bool], Select[Any]]

    @classmethod
    def where(cls, *conditions: Any, key: Any = Post.id, join: Any = None) -> CardList:
        """The list of the meals for which all ``conditions`` hold, ordered by ``key`` (a column with the post's id)."""
        forms = {}
        for personal in (False, True):
            base = cards(personal=personal)
            base = (base if join is None else base.join_from(Post, *join)).where(*conditions).limit(_limit())
            window = bindparam("max_id", type_=BigInteger), bindparam("min_id", type_=BigInteger)
            forms[personal, False] = base.where(key < window[0], key > window[1]).order_by(key.desc())
            forms[personal, True] = base.where(key < window[0], key > window[1]).order_by(key.asc())
        return cls(forms)

    def page(
        self, connection: Connection, window: Window, viewer: int = ANONYMOUS, *more: Any, **parameters: Any
    ) -> Page[Card]:
        """The page of ``window`` as the account ``viewer`` sees it; ``more`` are further conditions."""
        statement = self.forms[viewer != ANONYMOUS, window.upwards]
        if more:
            statement = statement.where(*more)
        if window.skip:
            statement = statement.offset(window.skip)
        values = {
            "max_id": window.max_id,
            "min_id": window.min_id,
            "limit": window.fetch_limit,
            "viewer": viewer,
            **parameters,
        }
        rows = [to_card(row) for row in fetch(connection, statement, values)]
        return make_page(rows, window, lambda card: card.id)


def to_card(row: Sequence[Any]) -> Card:
    """A card from its row; the database does not promise the order of the pictures."""
    card = Card(*row)
    pictures = card.media or []
    card.media = sorted(pictures, key=lambda picture: picture["position"]) if len(pictures) > 1 else pictures
    return card


#: Every public meal of the site.
PUBLIC = CardList.where(listed(Post, Account))
#: What the viewer may see of one person.
OF_ACCOUNT = CardList.where(visible(Post, Account), Post.account_id == bindparam("account", type_=BigInteger))


def _with_tag(tag_id: Any) -> CardList:
    return CardList.where(
        listed(Post, Account),
        PostTag.tag_id == tag_id,
        key=PostTag.post_id,
        join=(PostTag, PostTag.post_id == Post.id),
    )


#: Public meals with a tag.
WITH_TAG = _with_tag(bindparam("tag_id", type_=BigInteger))
#: The same, by `tag_key`.
WITH_TAG_NAMED = _with_tag(select(Tag.id).where(Tag.name == bindparam("tag_name")).scalar_subquery())
_ONE = {
    personal: cards(personal=personal).where(Post.id == bindparam("id", type_=BigInteger), visible(Post, Account))
    for personal in (False, True)
}
#: A tag that the viewer may know of: it has public meals, or others that the viewer may see.  One that only hidden
#: meals have does not exist, or it would tell of them.
_TAG = select(Tag.id, Tag.name, Tag.display, Tag.meals_count).where(
    Tag.name == bindparam("name"),
    or_(
        Tag.meals_count > literal_column("0"),
        exists()
        .where(
            PostTag.tag_id == Tag.id, Post.id == PostTag.post_id, Account.id == Post.account_id, visible(Post, Account)
        )
        .correlate(Tag),
    ),
)


def card_by_id(connection: Connection, meal_id: int, viewer: int = ANONYMOUS) -> Card | None:
    """The meal, or None if there is none that the viewer may see."""
    row = fetch_one(connection, _ONE[viewer != ANONYMOUS], {"id": meal_id, "viewer": viewer})
    return None if row is None else to_card(row)


def meals_of_day(connection: Connection, account: int, day: date, limit: int = 100) -> Page[Card]:
    """What one ate on ``day`` (the eater's own date), newest first."""
    return OF_ACCOUNT.page(connection, Window(limit=limit), account, Post.eaten_on == day, account=account)


@dataclass(frozen=True)
class TagRow:
    """A tag."""

    id: int
    name: str
    display: str
    meals_count: int


def tag_key(name: str) -> str:
    """What finds the tag, however its name is written; "", which no tag has, for what cannot be one."""
    try:
        return normalise_tag(name).key
    except ValueError:
        return ""


def tag_by_name(connection: Connection, name: str, viewer: int = ANONYMOUS) -> TagRow | None:
    """The tag, however its name is written, or None if no meal that the viewer may see has it."""
    row = fetch_one(connection, _TAG, {"name": tag_key(name), "viewer": viewer})
    return None if row is None else TagRow(*tuple(row))


_TOP_TAGS = (
    select(Tag.id, Tag.name, Tag.display, Tag.meals_count)
    .where(Tag.meals_count > literal_column("0"))
    .order_by(Tag.meals_count.desc(), Tag.id.desc())
    .limit(_limit())
)


def top_tags(connection: Connection, limit: int = 20) -> list[TagRow]:
    """The tags with the most public meals."""
    return [TagRow(*tuple(row)) for row in fetch(connection, _TOP_TAGS, {"limit": limit})]


def filter_conditions(
    *,
    meal_type: str | None,
    diets: Sequence[str],
    without: Sequence[str],
    tag: str | None,
    place: str | None,
    since: date | None,
    until: date | None,
    photo: bool | None,
) -> list[Any]:
    """The conditions for the filters of a list; an unknown tag or place matches nothing."""
    conditions: list[Any] = []
    if meal_type is not None:
        conditions.append(Post.meal_type == meal_type)
    if diets:
        mask = mask_of(Diet, diets)
        conditions.append(Post.diets.bitwise_and(mask) == mask)
    if without:
        conditions.append(Post.allergens_contained.bitwise_and(mask_of(Allergen, without)) == 0)
    if tag is not None:
        named = exists().where(PostTag.post_id == Post.id, PostTag.tag_id == Tag.id, Tag.name == tag_key(tag))
        conditions.append(named.correlate(Post))
    if place is not None:
        conditions.append(Place.name_key == place_key(place))
    if since is not None:
        conditions.append(Post.eaten_on >= since)
    if until is not None:
        conditions.append(Post.eaten_on <= until)
    if photo is not None:
        has_photo = exists().where(Media.post_id == Post.id).correlate(Post)
        conditions.append(has_photo if photo else ~has_photo)
    return conditions


def meal_entity(session: Any, meal_id: int, account_id: int) -> Meal | None:
    """The living meal of that account, locked for an edit, or None."""
    statement = (
        select(Meal)
        .where(Meal.id == meal_id, Meal.account_id == account_id, Meal.deleted_at.is_(None))
        .with_for_update(of=Post)
    )
    meal: Meal | None = session.scalars(statement).first()
    return meal
