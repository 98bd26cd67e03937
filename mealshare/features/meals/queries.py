"""Reading meals: one statement for a list, whatever its length; rows become cards, which both faces present.

Every statement is built once, at import.  Conditions on what may be seen come from `accounts.visibility` and stand as
literals, so that the partial indexes serve; the page size is a literal too, for one prepared plan each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    String,
    bindparam,
    exists,
    literal_column,
    or_,
    select,
)

from mealshare.core.db import Page, Prepared, Window, fetch, fetch_one, mask_of, page_limit
from mealshare.core.text import normalise_tag
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import ANONYMOUS, listed, visible
from mealshare.features.meals.cards import Card, CardList, cards, read_cards
from mealshare.features.meals.models import Meal, Post, PostTag, Tag
from mealshare.features.meals.places import place_key
from mealshare.features.meals.vocabulary import Allergen, Diet
from mealshare.features.media.models import Media


def of_everybody(personal: bool) -> Sequence[Any]:
    """The conditions of lists that show everybody's public meals."""
    return (listed(Post, Account, personal=personal),)


#: Every public meal of the site.
PUBLIC = CardList.where(of_everybody)
#: What the viewer may see of one person.
OF_ACCOUNT = CardList.where(
    lambda personal: (
        visible(Post, Account, personal=personal),
        Post.account_id == bindparam("account", type_=BigInteger),
    )
)


def _with_tag(tag_id: Any) -> CardList:
    return CardList.where(
        lambda personal: (*of_everybody(personal), PostTag.tag_id == tag_id),
        key=PostTag.post_id,
        join=(PostTag, PostTag.post_id == Post.id),
    )


#: Public meals with a tag.
WITH_TAG = _with_tag(bindparam("tag_id", type_=BigInteger))
#: The same, by `tag_key`.
WITH_TAG_NAMED = _with_tag(select(Tag.id).where(Tag.name == bindparam("tag_name")).scalar_subquery())
#: Public meals at a place, by `place_key`.
AT_PLACE = CardList.where(
    lambda personal: (*of_everybody(personal), Post.place_key == bindparam("place_key", type_=String))
)
_ONE = {
    personal: Prepared(
        cards(personal=personal).where(
            Post.id == bindparam("id", type_=BigInteger), visible(Post, Account, personal=personal)
        )
    )
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
    values = {"id": meal_id, "viewer": viewer}
    found = read_cards(connection, _ONE[viewer != ANONYMOUS], values, ("meal", meal_id))
    return found[0] if found else None


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
    .limit(page_limit())
)


#: Those whose name begins as the parameter says; a beginning that few have costs a look at all tags in use.
#: Of these, the ones whose key begins as the parameter ``beginning`` (`tag_beginning`) says.
TAGS_BEGINNING = _TOP_TAGS.where(Tag.name.like(bindparam("beginning", type_=String), escape="/"))


def tag_beginning(text: str) -> str | None:
    """What the key of a tag must be LIKE to begin as ``text``, however that is written; None where no tag can."""
    key = tag_key("".join(text.split()))
    return key.replace("_", "/_") + "%" if key else None


def top_tags(connection: Connection, limit: int = 20, beginning: str | None = None) -> list[TagRow]:
    """The tags with the most public meals; of those whose name begins as ``beginning``, however that is written."""
    if beginning is None:
        rows = fetch(connection, _TOP_TAGS, {"limit": limit})
    elif pattern := tag_beginning(beginning):
        rows = fetch(connection, TAGS_BEGINNING, {"limit": limit, "beginning": pattern})
    else:
        rows = []
    return [TagRow(*tuple(row)) for row in rows]


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
        conditions.append(Post.place_key == place_key(place))
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
