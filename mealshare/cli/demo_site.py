"""Demo data, written by the same services that people's own meals are written by.

Two things are done less often than for real people, because they would take most of the time: all demo people share one
password, so it is hashed once; and a picture file that several meals show is decoded and encoded once, by the picture
pipeline, and its variants stored for each.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict
from pyramid.registry import Registry
from sqlalchemy import select

from mealshare.cli.demo_social import SocialLife, SocialPerson
from mealshare.core.clock import now
from mealshare.core.dates import parse_local, rfc3339, to_local
from mealshare.core.ids import new_id
from mealshare.core.jobs import run_due
from mealshare.core.security.identity import Role
from mealshare.core.security.passwords import hash_password
from mealshare.core.settings import settings_of
from mealshare.core.storage import Storage
from mealshare.core.validation import validate_json
from mealshare.core.work import Work
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.service import AccountService, NewAccount
from mealshare.features.meals.factory import make_meal_service
from mealshare.features.meals.models import Meal
from mealshare.features.meals.schemas import MealInput
from mealshare.features.meals.vocabulary import Visibility
from mealshare.features.media.avatars import AvatarService, make_avatar
from mealshare.features.media.files import new_key, put_with, variant_file
from mealshare.features.media.images import VARIANT_TYPE, Rendition, make_variants
from mealshare.features.media.models import Media, MediaState
from mealshare.features.media.settings import MediaSettings
from mealshare.features.reactions.service import LikeService

#: People post some minutes after they ate.
_POSTED_AFTER = (4, 55)
_EDITED_AFTER = timedelta(minutes=17)
_JOINED_BEFORE = timedelta(days=2)
#: What nobody but the author sees gets no likes.
_SEEN = (Visibility.PUBLIC, Visibility.UNLISTED)

Step = Callable[[], None]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DemoPerson(_Strict):
    """A line of people.json."""

    username: str
    display_name: str
    bio: str
    locale: str
    time_zone: str
    language: str
    avatar: str | None
    role: Role


class DemoPicture(_Strict):
    """A picture of a meal: the file's name, and what it shows."""

    file: str
    description: str


class DemoMeal(_Strict):
    """A line of meals.json: a meal as the API takes it, but for when, who, pictures and likes."""

    user: str
    food: str
    note: str
    meal_type: str
    days_ago: int
    local_time: str
    visibility: str
    sensitive: bool
    spoiler_text: str
    language: str | None
    place: dict[str, Any] | None
    source: str | None
    tags: list[str]
    diets: list[str]
    allergens: dict[str, list[str]]
    recipe_url: str | None
    pictures: list[DemoPicture]
    likes: int
    edited: bool


@dataclass(frozen=True)
class Demo:
    """What is to be written, and the picture files that it needs."""

    people: Sequence[DemoPerson]
    meals: Sequence[DemoMeal]

    @property
    def files(self) -> list[str]:
        """The pictures, each once."""
        avatars = {person.avatar for person in self.people if person.avatar}
        return sorted(avatars | {picture.file for meal in self.meals for picture in meal.pictures})


@dataclass(frozen=True)
class _Pictures:
    """What became of the files: variants of pictures, and avatars."""

    renditions: dict[str, Rendition]
    avatars: dict[str, bytes]


def is_empty(registry: Registry) -> bool:
    """Whether nobody has an account."""
    with registry["read_engine"].connect() as connection:
        return connection.execute(select(Account.id).limit(1)).first() is None


def read_demo(people: int, meals: int) -> Demo:
    """The first ``people``, and the newest ``meals`` of theirs."""
    persons = [DemoPerson.model_validate(item) for item in _json("people.json")][:people]
    names = {person.username for person in persons}
    listed = [DemoMeal.model_validate(item) for item in _json("meals.json")]
    theirs = [meal for meal in listed if meal.user in names]
    newest = sorted(theirs, key=lambda meal: (meal.days_ago, *map(int, reversed(meal.local_time.split(":")))))
    return Demo(persons, newest[:meals])


def fill(registry: Registry, demo: Demo, password: str, step: Step) -> None:
    """Write ``demo`` in one transaction; ``step`` is called once for each file, person and meal."""
    # Slow work first: neither pictures nor the password may keep a write transaction open.
    pictures = _prepare(demo, settings_of(registry, MediaSettings), step)
    password_hash = hash_password(password)
    with registry["open_work"]() as work:
        writer = _Writer(registry, work, pictures, now())
        for person in demo.people:
            writer.add_person(person, password_hash)
            step()
        timed = writer.in_order(demo.meals)
        writer.social.follow()
        for meal, moment in timed:
            writer.add_meal(meal, moment)
            step()
        writer.social.read()
    # What goes on after the commit, above all filling the home feeds: the site is whole when the command ends.
    run_due(registry)


def _prepare(demo: Demo, settings: MediaSettings, step: Step) -> _Pictures:
    avatars = {person.avatar for person in demo.people if person.avatar}
    pictures = {picture.file for meal in demo.meals for picture in meal.pictures}
    # The decoders and encoders let other threads run meanwhile.
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        small = {name: threads.submit(make_avatar, _bytes(name), settings) for name in sorted(avatars)}
        large = {name: threads.submit(make_variants, _bytes(name), limits=settings.limits) for name in sorted(pictures)}
        made = _Pictures({}, {})
        for name, avatar in small.items():
            made.avatars[name] = avatar.result()
            step()
        for name, rendition in large.items():
            made.renditions[name] = rendition.result()
            if name not in small:
                step()
    return made


class _Writer:
    """Writes people and their meals in one unit of work; the same data gives the same site each time."""

    def __init__(self, registry: Registry, work: Work, pictures: _Pictures, moment: datetime) -> None:
        self.work = work
        self.storage: Storage = registry["storage"]
        self.pictures = pictures
        self.now = moment
        self.accounts = AccountService(work, registry["base_url"])
        self.avatars = AvatarService(work, self.storage)
        self.meals = make_meal_service(work, registry)
        self.likes = LikeService(work)
        self.people: dict[str, tuple[int, DemoPerson]] = {}
        self.first: dict[str, datetime] = {}
        self.chance = random.Random("mealshare")  # noqa: S311  Not a secret: chance that is the same each time.

    def add_person(self, person: DemoPerson, password_hash: str) -> None:
        """Make the account, with profile and picture."""
        new = NewAccount(
            person.username,
            f"{person.username}@example.org",
            password_hash,
            person.locale,
            person.time_zone,
            person.role,
        )
        account_id = self.accounts.create(new).account_id
        self.accounts.change_profile(account_id, {"display_name": person.display_name, "bio": person.bio})
        if person.avatar:
            self.avatars.set(account_id, self.pictures.avatars[person.avatar])
        self.people[person.username] = (account_id, person)

    def in_order(self, meals: Iterable[DemoMeal]) -> list[tuple[DemoMeal, datetime]]:
        """The meals with the moments at which they were eaten, the first one first."""
        timed = sorted(((meal, self._eaten_at(meal)) for meal in meals), key=lambda pair: pair[1])
        for meal, moment in timed:
            self.first.setdefault(meal.user, moment)
        for username, (account_id, _) in self.people.items():
            account = self.work.session.get_one(Account, account_id)
            account.created_at = self.first.get(username, self.now) - _JOINED_BEFORE
        self.social = SocialLife(
            self.work,
            self.meals,
            [SocialPerson(id, person.username, person.language) for id, person in self.people.values()],
            self.now,
        )
        return timed

    def add_meal(self, meal: DemoMeal, eaten_at: datetime) -> None:
        """Post the meal as it was then, with its pictures, likes and, where the data says so, an edit."""
        account_id, person = self.people[meal.user]
        given = self._input(meal, eaten_at, person, self._add_pictures(account_id, meal.pictures))
        posted_at = min(eaten_at + timedelta(minutes=self.chance.randint(*_POSTED_AFTER)), self.now)
        # An edit needs something that it changes: the note came later, or where there is none, the tags did.
        later: dict[str, Any] = {"note": ""} if meal.note else {"tags": []}
        first = given.model_copy(update=later) if meal.edited else given
        post = self.meals.post(account_id, first, at=posted_at)
        if meal.edited:
            post = self.meals.edit(account_id, post.id, given)
            post.edited_at = min(posted_at + _EDITED_AFTER, self.now)
        self._like(post, meal, account_id)
        self.social.after(post, given)

    def _eaten_at(self, meal: DemoMeal) -> datetime:
        zone = self.people[meal.user][1].time_zone
        day = to_local(self.now, zone).date() - timedelta(days=meal.days_ago)
        moment = parse_local(f"{day.isoformat()}T{meal.local_time}", zone)
        # Where today's hour has not come yet, it was yesterday.
        return moment if moment < self.now else moment - timedelta(days=1)

    def _input(self, meal: DemoMeal, eaten_at: datetime, person: DemoPerson, media: list[dict[str, str]]) -> MealInput:
        values = meal.model_dump(exclude={"user", "days_ago", "local_time", "pictures", "likes", "edited"})
        values |= {"eaten_at": rfc3339(eaten_at), "time_zone": person.time_zone, "media": media}
        return validate_json(MealInput, orjson.dumps(values))

    def _add_pictures(self, account_id: int, pictures: Sequence[DemoPicture]) -> list[dict[str, str]]:
        """Write the rows of pictures whose variants are made already; gives what a meal says of them."""
        added = []
        for picture in pictures:
            made = self.pictures.renditions[picture.file]
            media = Media(
                id=new_id(), account_id=account_id, description=picture.description, state=MediaState.READY,
                storage_key=new_key(), blurhash=made.blurhash, width=made.width, height=made.height,
            )  # fmt: skip
            for edge, variant in made.variants.items():
                file = variant_file(media.storage_key, edge)
                put_with(self.work.session, self.storage, file, variant.data, str(VARIANT_TYPE))
            self.work.session.add(media)
            added.append({"id": str(media.id), "description": picture.description})
        self.work.session.flush()
        return added

    def _like(self, post: Meal, meal: DemoMeal, author: int) -> None:
        if post.visibility not in _SEEN:
            return
        others = [account_id for account_id, _ in self.people.values() if account_id != author]
        for account_id in self.chance.sample(others, min(meal.likes, len(others))):
            self.likes.like(account_id, post.id)


def _json(name: str) -> list[Any]:
    found: list[Any] = orjson.loads((files("mealshare.cli") / "demo" / name).read_bytes())
    return found


def _bytes(name: str) -> bytes:
    return (files("mealshare.cli") / "demo" / "pictures" / name).read_bytes()
