"""What lists find meals by: tags with their counts, and shared places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from mealshare.core.clock import now
from mealshare.core.ids import new_id
from mealshare.core.text import Tag as TagName
from mealshare.features.meals.models import Mention, Place, PostTag, Tag
from mealshare.features.meals.places import place_key
from mealshare.features.meals.schemas import PlaceInput
from mealshare.features.meals.vocabulary import Visibility


def counts_publicly(visibility: str | None) -> int:
    """1 for a meal that everybody may see and that its author's public count therefore includes, else 0."""
    return int(visibility in (Visibility.PUBLIC, Visibility.UNLISTED))


def _insert_ignoring(session: Session, model: type, rows: list[dict[str, object]], unique: list[str]) -> None:
    dialect = postgresql if session.connection().dialect.name == "postgresql" else sqlite
    session.execute(dialect.insert(model).on_conflict_do_nothing(index_elements=unique), rows)


@dataclass(frozen=True)
class TagIndex:
    """Keeps ``post_tags`` and the tags' public counts in step with a post."""

    session: Session

    def replace(self, post_id: int, tags: Sequence[TagName], *, listed_before: bool, listed_after: bool) -> None:
        """The post now has exactly ``tags``.

        It counted for the old ones if ``listed_before``, and counts for the new ones if ``listed_after``.
        """
        old = set(self.session.scalars(select(PostTag.tag_id).where(PostTag.post_id == post_id)))
        new = set(self._ids(tags))
        if old - new:
            self.session.execute(delete(PostTag).where(PostTag.post_id == post_id, PostTag.tag_id.in_(old - new)))
        if new - old:
            self.session.execute(insert(PostTag), [{"post_id": post_id, "tag_id": tag_id} for tag_id in new - old])
        counted_before, counted_after = (old if listed_before else set()), (new if listed_after else set())
        self._add({tag_id: 1 if tag_id in counted_after else -1 for tag_id in counted_after ^ counted_before})

    def _ids(self, tags: Sequence[TagName]) -> list[int]:
        if not tags:
            return []
        rows: list[dict[str, object]] = [
            {"id": new_id(), "name": tag.key, "display": tag.display, "meals_count": 0, "created_at": now()}
            for tag in sorted(tags)
        ]
        _insert_ignoring(self.session, Tag, rows, ["name"])
        return list(self.session.scalars(select(Tag.id).where(Tag.name.in_([tag.key for tag in tags]))))

    def _add(self, changes: Mapping[int, int]) -> None:
        # In one order everywhere, so that two transactions never wait for each other in a circle.
        for tag_id, change in sorted(changes.items()):
            self.session.execute(update(Tag).where(Tag.id == tag_id).values(meals_count=Tag.meals_count + change))


@dataclass(frozen=True)
class MentionIndex:
    """Keeps ``mentions`` in step with a post."""

    session: Session

    def replace(self, post_id: int, accounts: Sequence[int]) -> tuple[int, ...]:
        """The post now names exactly ``accounts``; gives those that it did not name before."""
        old = set(self.session.scalars(select(Mention.account_id).where(Mention.post_id == post_id)))
        new = [id for id in dict.fromkeys(accounts) if id not in old]
        gone = old - set(accounts)
        if gone:
            self.session.execute(delete(Mention).where(Mention.post_id == post_id, Mention.account_id.in_(gone)))
        if new:
            self.session.execute(insert(Mention), [{"post_id": post_id, "account_id": id} for id in new])
        return tuple(new)


@dataclass(frozen=True)
class PlaceIndex:
    """Finds the row of a place, or adds it."""

    session: Session

    def find_or_add(self, place: PlaceInput) -> int:
        """The id of the place with exactly this name, city, country and coordinates."""
        spot = "" if place.latitude is None else f"{place.latitude!r},{place.longitude!r}"
        key = {"name": place.name, "city": place.city, "country_code": place.country_code, "spot": spot}
        row: dict[str, object] = {
            "id": new_id(),
            "latitude": place.latitude,
            "longitude": place.longitude,
            "name_key": place_key(place.name),
            "city_key": place_key(place.city),
            "created_at": now(),
            **key,
        }
        _insert_ignoring(self.session, Place, [row], list(key))
        return self.session.scalars(select(Place.id).filter_by(**key)).one()
