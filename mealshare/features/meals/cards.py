"""Meals as lists and pages show them: the row, the statement that reads it, and a list in its four forms.

Every statement is built once, at import; `queries` says which lists there are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Connection,
    Integer,
    Select,
    String,
    and_,
    case,
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

from mealshare.core.cache import Fragments, fragments_of
from mealshare.core.db import Page, Prepared, Window, both_ways, fetch, make_page
from mealshare.core.db.json_rows import Exact, JsonArray, JsonList, JsonObject, Nested
from mealshare.core.db.known import KNOWN, Key, known_text, unless_known
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import ANONYMOUS, viewer_id, visible
from mealshare.features.meals.models import EatingPreference, Place, Post
from mealshare.features.meals.words import Card, Words, words_of
from mealshare.features.media.models import Media

# Tables of a higher feature, by their columns.
LIKES = table("likes", column("id", BigInteger), column("post_id", BigInteger), column("account_id", BigInteger))
WANTS = table("wants", column("id", BigInteger), column("post_id", BigInteger), column("account_id", BigInteger))
IS_MEAL = Post.kind == literal_column("'meal'")


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
_PLACE = (
    select(JsonArray(Place.name, Place.city, Place.country_code, Exact(Place.latitude), Exact(Place.longitude)))
    .where(Place.id == Post.place_id)
    .correlate(Post)
    .scalar_subquery()
)
_KEY = (Post.id, Post.version, Account.version)
#: What a meal and its author say in these versions, by the names of the fields of `Card`.
_WORDS = {
    "account_id": Post.account_id,
    "username": Account.username,
    "display_name": Account.display_name,
    "avatar_key": Account.avatar_key,
    "author_url": Account.url,
    "uri": Post.uri,
    "url": Post.url,
    "food": Post.food,
    "note": Post.note,
    "note_html": Post.note_html,
    "meal_type": Post.meal_type,
    "eaten_at": Post.eaten_at,
    "time_zone": Post.time_zone,
    "eaten_on": Post.eaten_on,
    "created_at": Post.created_at,
    "edited_at": Post.edited_at,
    "visibility": Post.visibility,
    "sensitive": Post.sensitive,
    "spoiler_text": Post.spoiler_text,
    "language": Post.language,
    "source": Post.source,
    "tag_names": Nested(Post.tag_names),
    "diets": type_coerce(Post.diets, Integer),
    "allergens_contained": type_coerce(Post.allergens_contained, Integer),
    "allergens_free_from": type_coerce(Post.allergens_free_from, Integer),
    "recipe_url": Post.recipe_url,
    "comments_closed": Post.comments_closed,
    "place": Nested(_PLACE),
    "media": Nested(_MEDIA),
}


def _origin(*, personal: bool) -> Any:
    """The meal that inspired this one, in a few words; nothing where the viewer may not see it, or it is gone."""
    meal, author = aliased(Post, name="origin"), aliased(Account, name="origin_author")
    words = (
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
    # Few meals have one: for the others nothing is looked up.
    return case((Post.inspired_by_id.is_not(None), type_coerce(words, JSON())))


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

    ``key`` is the column that orders the list.  The parameter ``known`` names the meals that need not be sent.
    """
    source = Post.__table__.join(Account.__table__, Account.id == Post.account_id)
    columns = (
        *_KEY,
        Post.likes_count,
        Post.comments_count,
        Post.ate_too_count,
        _origin(personal=personal),
        unless_known(_KEY, _WORDS.values()),
        key,
    )
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
Forms = Mapping[Any, Prepared]


@dataclass(frozen=True)
class CardList:
    """A list of meals in its four forms: for a visitor and for a person, downwards and upwards."""

    forms: Forms
    #: Whether each reader has another such list, rather than all the same but for what they may not see.
    own: bool = False

    @classmethod
    def where(cls, conditions: Conditions, *, key: Any = Post.id, join: Any = None, own: bool = False) -> CardList:
        """The list of the meals for which all of ``conditions(personal)`` hold, newest ``key`` first.

        ``key`` is a column with a snowflake; ``join`` is (table, condition) that it comes from.  What the
        viewer wants left out (`suits`) is in no list.
        """
        forms: dict[tuple[bool, bool], Prepared] = {}
        for personal in (False, True):
            base = cards(personal=personal, key=key)
            base = base if join is None else base.join_from(Post, *join)
            pages = both_ways(base.where(*conditions(personal), suits(personal=personal)), key)
            forms |= {(personal, upwards): Prepared(page) for upwards, page in pages.items()}
        return cls(forms, own)

    def page(
        self, connection: Connection, window: Window, viewer: int = ANONYMOUS, *more: Any, **parameters: Any
    ) -> Page[Card]:
        """The page of ``window`` as the account ``viewer`` sees it; ``more`` are further conditions."""
        form = self.forms[viewer != ANONYMOUS, window.upwards]
        values = {"max_id": window.max_id, "min_id": window.min_id, "limit": window.fetch_limit, "viewer": viewer}
        values |= parameters
        if more or window.skip:
            statement = form.statement.where(*more)
            rows = read_cards(connection, statement.offset(window.skip) if window.skip else statement, values)
        else:
            rows = read_cards(connection, form, values, self.place(window, viewer, parameters))
        return make_page(rows, window, _key_of)

    def place(self, window: Window, viewer: int, parameters: Mapping[str, Any]) -> Hashable | None:
        """What `read_cards` remembers the page under; None for one that will hardly be asked for again."""
        if not all(type(value) in (int, str) for value in parameters.values()):
            return None
        return (
            "page", id(self), viewer if self.own else viewer != ANONYMOUS, window.max_id, window.min_id, window.limit,
            window.oldest_first, *parameters.values(),
        )  # fmt: skip


_key_of = attrgetter("key")


@dataclass(frozen=True)
class _Seen:
    """What stood at some place when it was last read: keys of meals, and the same as the parameter ``known``."""

    keys: tuple[Key, ...]
    text: str


def read_cards(
    connection: Connection, statement: Prepared | Select[Any], values: Mapping[str, Any], place: Hashable | None = None
) -> list[Card]:
    """The meals of a statement made with `cards`, in its order.

    What stood at ``place`` (a page, a meal) when this process last read it, and is still in hand, need not be sent.
    """
    fragments = fragments_of(connection)
    seen: _Seen | None = None if fragments is None or place is None else fragments.get(place)
    held: dict[Key, Words] = {}
    known = ""
    if fragments is not None and seen is not None:
        held = {key: words for key in seen.keys if (words := fragments.get(key)) is not None}
        known = seen.text if len(held) == len(seen.keys) else known_text(held)
    rows: Sequence[Sequence[Any]] = fetch(connection, statement, {**values, KNOWN: known})
    found = [_card(row, held, fragments) for row in rows]
    if fragments is not None and place is not None:
        keys = tuple([card.words.key for card in found])
        if keys and (seen is None or keys != seen.keys):
            text = known_text(keys)
            fragments.put(place, _Seen(keys, text), 4 * len(text))
    return found


def _card(row: Sequence[Any], held: Mapping[Key, Words], fragments: Fragments | None) -> Card:
    """The card of a row, whose columns `cards` has in this order."""
    id, version, author_version, likes, comments, ate_too, origin, said, key, *viewer = row
    known = (id, version, author_version)
    words = held.get(known) or words_of(known, _WORDS, said, fragments)
    card = Card(
        words,
        id=id,
        version=version,
        author_version=author_version,
        likes_count=likes,
        comments_count=comments,
        ate_too_count=ate_too,
        origin=origin,
        key=key,
    )
    if viewer:
        card.like_id, card.want_id, card.ate_too_id, card.avoid_mode, card.avoid, card.keep = viewer
    return card
