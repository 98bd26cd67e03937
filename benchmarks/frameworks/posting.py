"""What posting a meal takes with SQLAlchemy's ORM: the schema of what comes in, and the statements, for each session."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from benchmarks.frameworks.orm import Account, Meal, Place, PostTag, Tag, TimelineEntry
from benchmarks.frameworks.words import BASE_URL, OPEN, all_tags, day_of, new_id, note_html

Words = StringConstraints(strip_whitespace=True)


class PlaceIn(BaseModel):
    """Where it was eaten."""

    name: Annotated[str, Words, Field(min_length=1, max_length=200)]
    city: Annotated[str, Words, Field(max_length=100)] = ""
    country_code: Annotated[str, Field(pattern="^([A-Z]{2})?$")] = ""


class MealIn(BaseModel):
    """A meal to be posted."""

    model_config = ConfigDict(extra="forbid")

    food: Annotated[str, Words, Field(min_length=1, max_length=140)]
    note: Annotated[str, Words, Field(max_length=2000)] = ""
    meal_type: Literal["breakfast", "brunch", "lunch", "snack", "dinner", "late_night", "drink"] = "snack"
    eaten_at: AwareDatetime
    time_zone: Annotated[str, Field(max_length=64)] = "UTC"
    visibility: Literal["public", "unlisted", "followers", "only_me"] = "public"
    place: PlaceIn | None = None
    tags: Annotated[list[Annotated[str, Words, Field(min_length=1, max_length=100)]], Field(max_length=20)] = []


def post_meal(session: Session, claims: dict[str, Any], given: MealIn) -> int:
    """Post the meal in the session's transaction, with all that counts it; gives its id.  Commits.

    An async session runs it with ``run_sync``.
    """
    account, username = int(claims["sub"]), claims["username"]
    insert_or_ignore = (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert
    now, id = datetime.now(UTC), new_id()
    place_id = None
    if given.place is not None:
        named = given.place.model_dump() | {"spot": ""}
        keys = {"name_key": named["name"].casefold(), "city_key": named["city"].casefold()}
        row = {"id": new_id(), "created_at": now, **named, **keys}
        session.execute(insert_or_ignore(Place).values(row).on_conflict_do_nothing(index_elements=list(named)))
        place_id = session.scalars(select(Place.id).filter_by(**named)).one()
    tags = all_tags(given.tags, given.note)
    meal = Meal(
        id=id, account_id=account, uri=f"{BASE_URL}/users/{username}/posts/{id}", url=f"{BASE_URL}/@{username}/{id}",
        food=given.food, note=given.note, note_html=note_html(given.note), meal_type=given.meal_type,
        eaten_at=given.eaten_at.astimezone(UTC).replace(microsecond=0), time_zone=given.time_zone,
        eaten_on=day_of(given.eaten_at, given.time_zone), visibility=given.visibility, created_at=now, place_id=place_id,
        place_key=None if given.place is None else given.place.name.casefold(), tag_names=tags,
    )  # fmt: skip
    session.add_all([meal, TimelineEntry(account_id=account, post_id=id, author_id=account)])
    if given.visibility in OPEN:
        session.execute(update(Account).where(Account.id == account).values(meals_count=Account.meals_count + 1))
    if tags:
        by_key = {tag.casefold(): tag for tag in tags}
        rows = [{"id": new_id(), "name": key, "display": tag, "created_at": now} for key, tag in sorted(by_key.items())]
        session.execute(insert_or_ignore(Tag).values(rows).on_conflict_do_nothing(index_elements=["name"]))
        ids = session.scalars(select(Tag.id).where(Tag.name.in_(by_key)).order_by(Tag.id)).all()
        session.execute(insert(PostTag), [{"tag_id": tag_id, "post_id": id} for tag_id in ids])
        if given.visibility == OPEN[0]:
            session.execute(update(Tag).where(Tag.id.in_(ids)).values(meals_count=Tag.meals_count + 1))
    session.commit()
    return id
