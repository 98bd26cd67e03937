"""Meals as lists and pages show them: the row, the statement that reads it, and a list in its four forms.

Every statement is built once, at import; `queries` says which lists there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Select,
    String,
    and_,
    cast,
    column,
    func,
    literal_column,
    or_,
    select,
    table,
    true,
    type_coerce,
)
from sqlalchemy.orm import aliased

from mealshare.core.db import Page, Window, both_ways, fetch_window, make_page, members_of
from mealshare.core.db.json_rows import JsonList, JsonObject
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import ANONYMOUS, viewer_id, visible
from mealshare.features.meals.models import EatingPreference, Place, Post
from mealshare.features.meals.vocabulary import Allergen, Diet
from mealshare.features.media.models import Media

# Tables of a higher feature, by their columns.
LIKES = table("likes", column("id", BigInteger), column("post_id", BigInteger), column("account_id", BigInteger))
WANTS = table("wants", column("id", BigInteger), column("post_id", BigInteger), column("account_id", BigInteger))
IS_MEAL = Post.kind == literal_column("'meal'")


@dataclass
class Card:
    """A meal as lists and pages show it: with author, place and pictures, and how the viewer stands to it."""

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
    comments_closed: bool
    likes_count: int
    comments_count: int
    ate_too_count: int
    place_name: str | None
    place_city: str | None
    place_country: str | None
    place_latitude: float | None
    place_longitude: float | None
    media: list[dict[str, Any]]
    #: The meal that made its author eat this, if the viewer may see it: id (a string), url, username, food.
    origin: dict[str, Any] | None
    #: What the list is ordered by: the meal's id, or that of the row that put the meal into the list.
    key: int
    like_id: int | None = None
    want_id: int | None = None
    ate_too_id: int | None = None
    avoid_mode: str | None = None
    #: Bit masks of what the viewer avoids, and of the diets they keep to.
    avoid: int | None = None
    keep: int | None = None

    @property
    def liked(self) -> bool:
        """Whether the viewer said "Yum!"."""
        return self.like_id is not None

    @property
    def wanted(self) -> bool:
        """Whether it is on the viewer's want list."""
        return self.want_id is not None

    @property
    def ate_too(self) -> bool:
        """Whether the viewer ate this too."""
        return self.ate_too_id is not None

    @property
    def inspired_by_id(self) -> str | None:
        """The id of the meal that made its author eat this, for those who may see that one."""
        return None if self.origin is None else self.origin["id"]

    @property
    def avoided(self) -> tuple[Allergen, ...]:
        """What is declared to be in it of what the viewer avoids."""
        return tuple(item for item in members_of(Allergen, self.avoid or 0) if item in self.allergens_contained)

    @property
    def undeclared(self) -> tuple[Allergen, ...]:
        """What the viewer avoids and the meal says nothing about."""
        declared = {*self.allergens_contained, *self.allergens_free_from}
        return tuple(item for item in members_of(Allergen, self.avoid or 0) if item not in declared)

    @property
    def undeclared_diets(self) -> tuple[Diet, ...]:
        """The viewer's diets that the meal is not declared to suit."""
        return tuple(item for item in members_of(Diet, self.keep or 0) if item not in self.diets)


_MEDIA = (
    select(
        JsonList(
            JsonObject(
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
    Post.comments_closed,
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


def _origin(*, personal: bool) -> Any:
    """The meal that inspired this one, in a few words; nothing where the viewer may not see it, or it is gone."""
    meal, author = aliased(Post, name="origin"), aliased(Account, name="origin_author")
    return (
        select(
            JsonObject(
                literal_column("'id'"),
                cast(meal.id, String),
                literal_column("'url'"),
                meal.url,
                literal_column("'username'"),
                author.username,
                literal_column("'name'"),
                author.display_name,
                literal_column("'food'"),
                meal.food,
            )
        )
        .where(meal.id == Post.inspired_by_id, author.id == meal.account_id, visible(meal, author, personal=personal))
        .correlate(Post)
        .scalar_subquery()
    )


def _preference(name: str) -> Any:
    """A column of the viewer's preferences; looked up once for a statement, however many rows it has."""
    of_viewer = EatingPreference.account_id == viewer_id()
    # As a number: the cards compare bits, and most of them have none to compare.
    return (
        select(type_coerce(getattr(EatingPreference, name), Integer if name != "mode" else String))
        .where(of_viewer)
        .scalar_subquery()
    )


def suits(*, personal: bool = True) -> Any:
    """The condition under which a meal may be in a list at all: nothing in it that the viewer wants left out.

    What is not declared is not left out; one's own meals never are.
    """
    if not personal:
        return true()
    left_out = (
        select(type_coerce(EatingPreference.avoid, Integer))
        .where(EatingPreference.account_id == viewer_id(), EatingPreference.mode == literal_column("'hide'"))
        .scalar_subquery()
    )
    contained = type_coerce(Post.allergens_contained, Integer).bitwise_and(func.coalesce(left_out, literal_column("0")))
    # Less than one, which is zero: PostgreSQL takes an equality for rare, and would sort instead of reading on.
    return or_(contained < literal_column("1"), Post.account_id == viewer_id())


def cards(*, personal: bool, key: Any = Post.id) -> Select[Any]:
    """All meals as card rows; ``personal`` adds how the viewer stands to each, at the price of two joins.

    ``key`` is the column that orders the list.
    """
    source = Post.__table__.join(Account.__table__, Account.id == Post.account_id).outerjoin(
        Place.__table__, Place.id == Post.place_id
    )
    columns = (*_COLUMNS, _origin(personal=personal), key)
    if not personal:
        return select(*columns).select_from(source).where(IS_MEAL)
    me = viewer_id()
    source = source.outerjoin(LIKES, and_(LIKES.c.post_id == Post.id, LIKES.c.account_id == me)).outerjoin(
        WANTS, and_(WANTS.c.post_id == Post.id, WANTS.c.account_id == me)
    )
    copy = aliased(Post, name="copy")
    ate_too = (
        select(func.max(copy.id))
        .where(
            copy.account_id == me,
            copy.inspired_by_id == Post.id,
            copy.inspired_by_id.is_not(None),
            copy.deleted_at.is_(None),
        )
        .correlate(Post)
        .scalar_subquery()
    )
    return (
        select(*columns, LIKES.c.id, WANTS.c.id, ate_too, *map(_preference, ("mode", "avoid", "diets")))
        .select_from(source)
        .where(IS_MEAL)
    )


Conditions = Callable[[bool], Sequence[Any]]


@dataclass(frozen=True)
class CardList:
    """A list of meals in its four forms: for a visitor and for a person, downwards and upwards."""

    forms: Mapping[tuple[bool, bool], Select[Any]]

    @classmethod
    def where(cls, conditions: Conditions, *, key: Any = Post.id, join: Any = None) -> CardList:
        """The list of the meals for which all of ``conditions(personal)`` hold, newest ``key`` first.

        ``key`` is a column with a snowflake; ``join`` is (table, condition) that it comes from.  What the
        viewer wants left out (`suits`) is in no list.
        """
        forms: dict[tuple[bool, bool], Select[Any]] = {}
        for personal in (False, True):
            base = cards(personal=personal, key=key)
            base = base if join is None else base.join_from(Post, *join)
            pages = both_ways(base.where(*conditions(personal), suits(personal=personal)), key)
            forms |= {(personal, upwards): page for upwards, page in pages.items()}
        return cls(forms)

    def page(
        self, connection: Connection, window: Window, viewer: int = ANONYMOUS, *more: Any, **parameters: Any
    ) -> Page[Card]:
        """The page of ``window`` as the account ``viewer`` sees it; ``more`` are further conditions."""
        statement = self.forms[viewer != ANONYMOUS, window.upwards]
        if more:
            statement = statement.where(*more)
        rows = [to_card(row) for row in fetch_window(connection, statement, window, {"viewer": viewer, **parameters})]
        return make_page(rows, window, lambda card: card.key)


def to_card(row: Sequence[Any]) -> Card:
    """A card from its row; the database does not promise the order of the pictures."""
    card = Card(*row)
    pictures = card.media or []
    card.media = sorted(pictures, key=lambda picture: picture["position"]) if len(pictures) > 1 else pictures
    return card
