"""What is found: meals, people and places that exist for the viewer; one statement each, newest first.

Who asks is the parameter ``viewer``, as everywhere; what is asked for are the tokens of `mealshare.core.search`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    String,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.sql import Executable, false

from mealshare.core.db import fetch
from mealshare.core.db.json_rows import JsonObject
from mealshare.core.search import WordIndex, query_terms
from mealshare.core.search.tokens import is_unspaced
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import ANONYMOUS, listed, reachable, unmuted, viewer_id, visible
from mealshare.features.meals.cards import IS_MEAL, CardList
from mealshare.features.meals.models import Place, Post
from mealshare.features.meals.places import place_key
from mealshare.features.meals.queries import PUBLIC, TAGS_BEGINNING, TagRow, of_everybody, tag_beginning

DIALECTS = ("sqlite", "postgresql")
MEAL_WORDS = WordIndex("meal_words", "post_id")
PERSON_WORDS = WordIndex("person_words", "account_id")
#: Stands before a word of somebody's name, which is indexed twice: for names alone, and together with all else.
#: A character of Unicode's private use area, so that nobody can type it.
NAME = "\ue000"
#: How many names of places are looked at: whoever types one letter will type another.
MOST_NAMES = 200
UNLISTED: ColumnElement[str] = literal_column("'unlisted'")


@dataclass(frozen=True)
class FoundPerson:
    """A person in a few words."""

    account_id: int
    username: str
    display_name: str
    avatar_key: str | None
    url: str


@dataclass(frozen=True)
class FoundPlace:
    """A place as the newest meal there that the viewer may know of names it."""

    name: str
    city: str
    country_code: str


# --- Meals ---


def findable(personal: bool) -> Sequence[Any]:
    """The conditions for what a search finds: public meals, those that one may see as a follower, and all of one's own.

    Not other people's unlisted ones: those are for whoever has the address.
    """
    if not personal:
        return of_everybody(personal=False)
    unlisted_is_own = or_(Post.visibility != UNLISTED, Post.account_id == viewer_id())
    return (visible(Post, Account), unlisted_is_own, unmuted(Post))


def _found(conditions: Any, dialect: str) -> CardList:
    index = MEAL_WORDS.match(dialect)
    return CardList.where(
        lambda personal: (*conditions(personal), index.found), key=index.id, join=(index.table, index.id == Post.id)
    )


#: What a search finds, by dialect; the parameter ``words`` is that of the index.
FOUND: Mapping[str, CardList] = {dialect: _found(findable, dialect) for dialect in DIALECTS}
#: Of these, what belongs into a list of everybody's meals.
FOUND_PUBLIC: Mapping[str, CardList] = {dialect: _found(of_everybody, dialect) for dialect in DIALECTS}


def question(connection: Connection, q: str) -> str | None:
    """The parameter ``words`` for what somebody typed; None where there is nothing to look for."""
    terms = query_terms(q)
    return WordIndex.question(connection.dialect.name, terms) if terms else None


class MealWords:
    """The filter ``q`` of lists of meals."""

    def __call__(self, connection: Connection, q: str) -> ColumnElement[bool]:
        """The condition that a meal has all words of ``q``; no meal has, where there is no word in it."""
        terms = query_terms(q)
        return MEAL_WORDS.condition(connection.dialect.name, Post.id, terms) if terms else false()

    def narrow(
        self, connection: Connection, meals: CardList, q: str
    ) -> tuple[CardList, list[ColumnElement[bool]], dict[str, Any]]:
        """The list, the further conditions and parameters that give what of ``meals`` has all words of ``q``."""
        words = question(connection, q)
        if meals is PUBLIC and words is not None:
            # Read in the order of the index of words: a rare word is not looked for among all meals, and of a common
            # one only the first page is read.
            return FOUND_PUBLIC[connection.dialect.name], [], {"words": words}
        return meals, [self(connection, q)], {}


# --- People ---


def _people(dialect: str, *, personal: bool) -> Any:
    index = PERSON_WORDS.match(dialect)
    columns = (Account.id, Account.username, Account.display_name, Account.avatar_key, Account.url)
    return (
        select(*columns)
        .select_from(index.table)
        .join(Account, Account.id == index.id)
        .where(index.found, reachable(Account, personal=personal))
        .order_by(index.id.desc())
        .limit(bindparam("limit", type_=BigInteger, literal_execute=True))
    )


_PEOPLE = {
    (dialect, personal): _people(dialect, personal=personal) for dialect in DIALECTS for personal in (False, True)
}


def people(
    connection: Connection, q: str, limit: int, viewer: int = ANONYMOUS, *, names: bool = False
) -> list[FoundPerson]:
    """People who exist for the viewer and have all words of ``q``, the last to register first.

    ``names`` looks into usernames and display names only, otherwise what they say about themselves counts too.
    """
    terms = query_terms(q)
    if not terms:
        return []
    if names:
        terms = [term._replace(text=NAME + term.text) for term in terms]
    values = {"words": WordIndex.question(connection.dialect.name, terms), "limit": limit, "viewer": viewer}
    rows = fetch(connection, _PEOPLE[connection.dialect.name, viewer != ANONYMOUS], values)
    return [FoundPerson(*tuple(row)) for row in rows]


# --- Places ---


def _places(*, personal: bool) -> Any:
    names = (
        select(Place.name_key)
        .distinct()
        .where((literal_column("' '") + Place.name_key).like(bindparam("pattern", type_=String), escape="/"))
        .order_by(Place.name_key)
        .limit(MOST_NAMES)
        .cte("names")
    )
    newest = (
        select(Post.id)
        .join(Account, Account.id == Post.account_id)
        .where(Post.place_key == names.c.name_key, IS_MEAL, listed(Post, Account, personal=personal))
        .order_by(Post.id.desc())
        .limit(1)
        .correlate(names)
        .scalar_subquery()
    )
    if personal:
        own = (
            select(Post.place_key, func.max(Post.id).label("id"))
            .where(Post.account_id == viewer_id(), IS_MEAL, Post.deleted_at.is_(None), Post.place_key.is_not(None))
            .group_by(Post.place_key)
            .cte("own")
        )
        shown = select(func.coalesce(newest, own.c.id).label("id")).select_from(
            names.outerjoin(own, own.c.place_key == names.c.name_key)
        )
    else:
        shown = select(newest.label("id")).select_from(names)
    meal = shown.subquery("shown")
    return (
        select(Place.name, Place.city, Place.country_code, Post.id.label("newest"))
        .select_from(meal)
        .join(Post, Post.id == meal.c.id)
        .join(Place, Place.id == Post.place_id)
        .order_by(Post.id.desc())
        .limit(bindparam("limit", type_=BigInteger, literal_execute=True))
    )


_PLACES = {personal: _places(personal=personal) for personal in (False, True)}


def places(connection: Connection, q: str, limit: int, viewer: int = ANONYMOUS) -> list[FoundPlace]:
    """Places with a word that begins with ``q``, where there is a meal that is listed for the viewer, or one's own.

    The place with the newest meal comes first.
    """
    pattern = _pattern(q)
    if pattern is None:
        return []
    values = {"pattern": pattern, "limit": limit, "viewer": viewer}
    rows = fetch(connection, _PLACES[viewer != ANONYMOUS], values)
    return [FoundPlace(row.name, row.city, row.country_code) for row in rows]


# --- What stands beside the meals: people, tags and places in one statement ---


def _beside(dialect: str, *, personal: bool) -> Executable:
    def rows(kind: str, statement: Any) -> Any:
        found = statement.subquery(kind)
        pairs: list[Any] = []
        for column in found.c:
            pairs += [literal_column(f"'{column.key}'"), column]
        return select(literal_column(f"'{kind}'").label("kind"), JsonObject(*pairs).label("row"))

    parts = {
        "people": _people(dialect, personal=personal),
        "tags": TAGS_BEGINNING,
        "places": _places(personal=personal),
    }
    return union_all(*(rows(kind, statement) for kind, statement in parts.items()))


_BESIDE = {
    (dialect, personal): _beside(dialect, personal=personal) for dialect in DIALECTS for personal in (False, True)
}


@dataclass(frozen=True)
class Beside:
    """People, tags and places that go by what was asked for."""

    people: Sequence[FoundPerson] = ()
    tags: Sequence[TagRow] = ()
    places: Sequence[FoundPlace] = ()


def beside_meals(connection: Connection, q: str, limit: int, viewer: int = ANONYMOUS) -> Beside:
    """At most ``limit`` people, tags and places each, as `people`, `top_tags` and `places` find them; one statement."""
    terms = query_terms(q)
    if not terms:
        return Beside()
    values = {
        "words": WordIndex.question(connection.dialect.name, terms), "beginning": tag_beginning(q) or "",
        "pattern": _pattern(q) or "", "limit": limit, "viewer": viewer,
    }  # fmt: skip
    found: dict[str, list[dict[str, Any]]] = {"people": [], "tags": [], "places": []}
    for row in fetch(connection, _BESIDE[connection.dialect.name, viewer != ANONYMOUS], values):
        found[row.kind].append(row.row)
    # Each part is read in its order; that a union keeps it is promised by neither database.
    people = sorted(found["people"], key=lambda row: -row["id"])
    tags = sorted(found["tags"], key=lambda row: (-row["meals_count"], -row["id"]))
    spots = sorted(found["places"], key=lambda row: -row["newest"])
    return Beside(
        [FoundPerson(*row.values()) for row in people],
        [TagRow(*row.values()) for row in tags],
        [FoundPlace(row["name"], row["city"], row["country_code"]) for row in spots],
    )


def _pattern(q: str) -> str | None:
    """What a name (with a space in front of it) must be LIKE; None where there is nothing to look for."""
    key = place_key(q)
    if not query_terms(key):
        return None
    escaped = key.replace("/", "//").replace("%", "/%").replace("_", "/_")
    # In scripts without spaces a word may begin anywhere.
    return f"%{escaped}%" if is_unspaced(key[0]) else f"% {escaped}%"
