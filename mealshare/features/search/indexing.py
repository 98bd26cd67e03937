"""What is written into the index of words: of meals and of people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from mealshare.core.search import WordIndex, tokens
from mealshare.features.accounts.models import Account
from mealshare.features.meals.cards import IS_MEAL
from mealshare.features.meals.models import Place, Post
from mealshare.features.search.queries import MEAL_WORDS, NAME, PERSON_WORDS


def meal_tokens(row: Row[Any]) -> list[str]:
    """What a meal is found by: food, note, content warning, tags, and the place with its city."""
    return tokens("\n".join(filter(None, (row.food, row.note, row.spoiler_text, *row.tag_names, row.name, row.city))))


def person_tokens(row: Row[Any]) -> list[str]:
    """What a person is found by: both names, and what they say about themselves."""
    names = tokens(f"{row.username}\n{row.display_name}")
    return [*tokens(f"{row.username}\n{row.display_name}\n{row.bio}"), *(NAME + name for name in names)]


@dataclass(frozen=True)
class Indexed:
    """One kind of thing that is found by words."""

    index: WordIndex
    id: Any
    #: All of them, with their words.
    rows: Any
    tokens: Callable[[Row[Any]], Sequence[str]]

    def one(self, session: Session, id: int) -> None:
        """Index the thing as it is now; take it out where it is gone."""
        row = session.execute(self.rows.where(self.id == id)).first()
        if row is None:
            self.index.remove(session, [id])
        else:
            self.index.put(session, id, self.tokens(row))

    def some(self, session: Session, before: int, limit: int) -> list[int]:
        """Index the newest ``limit`` of those with an id below ``before``; give their ids, newest first.

        They cannot change before the transaction ends: what an edit has just written must not be undone here.
        """
        owner = self.id.class_
        wanted = self.rows.where(self.id < before).order_by(self.id.desc()).limit(limit)
        rows = session.execute(wanted.with_for_update(key_share=True, of=owner)).all()
        for row in rows:
            self.index.put(session, row.id, self.tokens(row))
        return [row.id for row in rows]

    def is_complete(self, session: Session) -> bool:
        """Whether the oldest is in the index, which `some` fills from the newest on."""
        oldest = session.scalar(self.rows.with_only_columns(self.id).order_by(self.id).limit(1))
        return oldest is None or self.index.holds(session, oldest)


MEALS = Indexed(
    MEAL_WORDS,
    Post.id,
    select(Post.id, Post.food, Post.note, Post.spoiler_text, Post.tag_names, Place.name, Place.city)
    .outerjoin(Place, Place.id == Post.place_id)
    .where(IS_MEAL, Post.deleted_at.is_(None)),
    meal_tokens,
)
PEOPLE = Indexed(
    PERSON_WORDS,
    Account.id,
    select(Account.id, Account.username, Account.display_name, Account.bio),
    person_tokens,
)
#: By the names that jobs call them.
KINDS = {"people": PEOPLE, "meals": MEALS}
