"""A meal as lists and pages show it: what it says in one of its versions, and what is read anew each time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from operator import itemgetter
from sys import getsizeof
from typing import TYPE_CHECKING, Any

from mealshare.core.cache import Fragments
from mealshare.core.db import members_of
from mealshare.core.db.known import Key
from mealshare.features.meals.vocabulary import Allergen, Diet


@dataclass
class Words:
    """What a meal says in one of its versions, with its author; and what was made of it since it was read."""

    #: The values by the names of the fields of `Card`.
    values: dict[str, Any]
    json: bytes | None = None
    #: By language.
    html: dict[str, Any] = field(default_factory=dict)
    key: Key = ()
    #: Where it is kept, if it is.
    fragments: Fragments | None = None

    def grew(self, size: int) -> None:
        """Something of ``size`` bytes was made of it, and is kept with it."""
        if self.fragments is not None:
            self.fragments.grow(self.key, size)


class Card:
    """A meal as lists and pages show it: with author, place and pictures, and how the viewer stands to it.

    What is the same for all readers, as long as neither version changes, is looked up in its `Words`: a list that needs
    no more of them than their JSON does not copy forty values for each of its meals, which would take as long as its
    statement.
    """

    words: Words
    # This is read each time.
    id: int
    version: int
    author_version: int
    likes_count: int
    comments_count: int
    ate_too_count: int
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
    # And this is among the words.
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
    place_name: str | None
    place_city: str | None
    place_country: str | None
    place_latitude: float | None
    place_longitude: float | None
    media: list[dict[str, Any]]

    def __init__(self, words: Words, **read: Any) -> None:
        """A card of ``words`` with the values that are ``read`` each time."""
        read["words"] = words
        self.__dict__ = read

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            try:
                return self.__dict__["words"].values[name]
            except KeyError:
                raise AttributeError(name) from None

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


def words_of(key: Key, names: Iterable[str], said: Sequence[Any], fragments: Fragments | None) -> Words:
    """What the meal ``key`` says: as it is in hand, or else ``said``, the values of ``names`` as JSON knows them.

    The place is one value, and the database does not promise the order of the pictures.
    """
    words: Words | None = None if fragments is None else fragments.get(key)
    if words is not None:
        return words
    values = dict(zip(names, said, strict=True))
    place, media = values.pop("place"), values["media"] or []
    for name in ("eaten_at", "created_at", "edited_at"):
        values[name] = _moment(values[name])
    for name, members in _SETS:
        values[name] = members_of(members, values[name] or 0)
    for name in ("sensitive", "comments_closed"):
        values[name] = bool(values[name])
    values["eaten_on"] = date.fromisoformat(values["eaten_on"])
    values["media"] = sorted(media, key=itemgetter("position"))
    named = [None] * 5 if place is None else [*place[:3], *map(_number, place[3:])]
    values |= zip(_OF_PLACE, named, strict=True)
    words = Words(values, key=key, fragments=fragments)
    if fragments is not None:
        fragments.put(key, words, _size(values))
    return words


_SETS: tuple[tuple[str, Any], ...] = (
    ("diets", Diet), ("allergens_contained", Allergen), ("allergens_free_from", Allergen)
)  # fmt: skip
_OF_PLACE = ("place_name", "place_city", "place_country", "place_latitude", "place_longitude")


def _moment(text: str | None) -> datetime | None:
    """A time as either database writes it; in UTC."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _number(exact: Any) -> float | None:
    return None if exact is None else float(exact)


def _size(values: Mapping[str, Any]) -> int:
    """About how many bytes the values of `Words` take."""
    texts = sum(getsizeof(value) for value in values.values() if isinstance(value, str))
    return 2_000 + texts + 1_000 * len(values["media"]) + 80 * len(values["tag_names"])
