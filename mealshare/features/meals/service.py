"""Every write to meals: post, edit, change who may see it, delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import delete, select, update

from mealshare.core.clock import now
from mealshare.core.dates import eaten_on, to_local
from mealshare.core.errors import InputInvalid, NotFound, PreconditionFailed
from mealshare.core.ids import new_id, new_id_at
from mealshare.core.text import Rendered, Tag, extract_mentions, normalise_tag, render_note, tag_path
from mealshare.core.work import Work
from mealshare.features.accounts.models import Account, User
from mealshare.features.accounts.queries import named_people
from mealshare.features.meals.events import MealDeleted, MealEdited, MealPublished, VisibilityChanged
from mealshare.features.meals.habits import guess_for
from mealshare.features.meals.indexing import MentionIndex, PlaceIndex, TagIndex, counts_publicly
from mealshare.features.meals.models import Meal, Post, PostRevision
from mealshare.features.meals.places import place_key
from mealshare.features.meals.queries import meal_entity
from mealshare.features.meals.schemas import MAX_TAGS, MealInput
from mealshare.features.meals.vocabulary import Allergen, Diet, Visibility
from mealshare.features.media.service import MediaService

#: How many names in a note become links; a longer list is not a mention but a nuisance.
MAX_MENTIONS = 20
#: What a revision keeps, and what makes a meal "edited" when it changes; visibility is not among it.
CONTENT = (
    "food",
    "note",
    "meal_type",
    "eaten_at",
    "time_zone",
    "place_id",
    "source",
    "tag_names",
    "diets",
    "allergens_contained",
    "allergens_free_from",
    "recipe_url",
    "spoiler_text",
    "sensitive",
    "language",
)


M = TypeVar("M", bound=StrEnum)


def _ordered(members: type[M], chosen: Sequence[M]) -> tuple[M, ...]:
    """The chosen members in the order of the enumeration, as the database gives them back."""
    return tuple(member for member in members if member in chosen)


@dataclass(frozen=True)
class Filled:
    """What stands in tables of their own: the tags of a meal, and the accounts that its note names."""

    tags: Sequence[Tag]
    mentioned: tuple[int, ...]


@dataclass(frozen=True)
class MealService:
    """Writes meals in one unit of work."""

    work: Work
    media: MediaService
    base_url: str

    def post(
        self, account_id: int, meal: MealInput, *, at: datetime | None = None, inspired_by: int | None = None
    ) -> Meal:
        """Publish ``meal`` as the account's; ``at`` is only for data of the past (demo, import).

        ``inspired_by`` is the meal that the account "ate too": one that it may see, which the caller has asked; if it
        has been deleted since, the link is left out.
        Raises InputInvalid for pictures that are not the account's, and for too many tags.
        """
        session = self.work.session
        author, user = self._author(account_id)
        if inspired_by is not None and not self._lock_original(inspired_by):
            inspired_by = None
        moment = at or now()
        id = new_id() if at is None else new_id_at(at)
        post = Meal(
            id=id,
            account_id=account_id,
            uri=f"{self.base_url}/users/{author.username}/posts/{id}",
            url=f"{self.base_url}/@{author.username}/{id}",
            created_at=moment,
            visibility=meal.visibility,
            tag_names=[],
            inspired_by_id=inspired_by,
            comments_closed=meal.comments_closed,
        )
        filled = self._fill(post, meal, default_zone=user.time_zone, default_time=moment)
        session.add(post)
        session.flush()
        self.media.attach(account_id, id, [(item.id, item.description) for item in meal.media])
        listed = post.visibility == Visibility.PUBLIC
        self._count(post, before=None, after=post.visibility)
        TagIndex(session).replace(post.id, filled.tags, listed_before=False, listed_after=listed)
        mentioned = MentionIndex(session).replace(post.id, filled.mentioned)
        self.work.publish(MealPublished(post.id, account_id, post.visibility, inspired_by, mentioned))
        return post

    def edit(self, account_id: int, meal_id: int, meal: MealInput, *, version: int | None = None) -> Meal:
        """Replace what the account's meal says; ``version`` is the one that the client has seen, if it says so.

        What it said before is kept as a revision.  Raises NotFound, PreconditionFailed and InputInvalid.
        """
        post = self._own(account_id, meal_id, version)
        before = {name: getattr(post, name) for name in CONTENT}
        was = post.visibility
        filled = self._fill(
            post, meal, default_zone=post.time_zone or "UTC", default_time=post.eaten_at or post.created_at
        )
        changed_media = self.media.attach(account_id, post.id, [(item.id, item.description) for item in meal.media])
        post.visibility = meal.visibility
        closed, post.comments_closed = post.comments_closed, meal.comments_closed
        changed = changed_media or any(getattr(post, name) != before[name] for name in CONTENT)
        if changed:
            self._keep_revision(post, before)
            post.edited_at = now()
        if changed or was != post.visibility or closed != post.comments_closed:
            session = self.work.session
            post.version += 1
            public, was_public = post.visibility == Visibility.PUBLIC, was == Visibility.PUBLIC
            self._count(post, before=was, after=post.visibility)
            TagIndex(session).replace(post.id, filled.tags, listed_before=was_public, listed_after=public)
            mentioned = MentionIndex(session).replace(post.id, filled.mentioned)
            if was != post.visibility:
                session.flush()
                self.work.publish(VisibilityChanged((post.id,), account_id, was, post.visibility))
            self.work.publish(MealEdited(post.id, account_id, mentioned))
        return post

    def delete(self, account_id: int, meal_id: int, *, version: int | None = None) -> None:
        """Delete the account's meal: its address stays taken, its words, pictures and revisions go."""
        session = self.work.session
        post = self._own(account_id, meal_id, version)
        self._count(post, before=post.visibility, after=None)
        TagIndex(session).replace(post.id, (), listed_before=post.visibility == Visibility.PUBLIC, listed_after=False)
        MentionIndex(session).replace(post.id, ())
        self.media.remove_of_post(post.id)
        session.execute(delete(PostRevision).where(PostRevision.post_id == post.id))
        empty: dict[str, Any] = {
            "food": "",
            "note": "",
            "note_html": "",
            "spoiler_text": "",
            "place_id": None,
            "place_key": None,
            "recipe_url": None,
            "tag_names": [],
            "diets": (),
            "allergens_contained": (),
            "allergens_free_from": (),
            "source": None,
            "language": None,
            "sensitive": False,
            "meal_type": None,
            "eaten_at": None,
            "time_zone": None,
            "eaten_on": None,
            "inspired_by_id": None,
            "comments_closed": False,
            "likes_count": 0,
            "comments_count": 0,
            "ate_too_count": 0,
        }
        for name, value in empty.items():
            setattr(post, name, value)
        post.deleted_at = now()
        post.version += 1
        self.work.publish(MealDeleted(post.id, account_id))

    def _own(self, account_id: int, meal_id: int, version: int | None) -> Meal:
        post = meal_entity(self.work.session, meal_id, account_id)
        if post is None:
            raise NotFound
        if version is not None and post.version != version:
            raise PreconditionFailed
        if post.inspired_by_id is not None:
            self._lock_original(post.inspired_by_id)
        return post

    def _lock_original(self, meal_id: int) -> bool:
        """Whether the meal that inspired another is still there; it stays so until the end of the transaction.

        Locked before the places and tags of the copy: whoever edits the original holds it first, and wants those then.
        """
        living = select(Post.id).where(Post.id == meal_id, Post.deleted_at.is_(None)).with_for_update(key_share=True)
        return self.work.session.scalar(living) is not None

    def _author(self, account_id: int) -> tuple[Account, User]:
        row = self.work.session.execute(
            select(Account, User).join(User, User.id == Account.id).where(Account.id == account_id)
        ).first()
        if row is None:
            raise NotFound
        return row[0], row[1]

    def _fill(self, post: Meal, meal: MealInput, *, default_zone: str, default_time: datetime) -> Filled:
        """Write the words of ``meal`` into ``post``; return its tags, those of the note included, and whom it names."""
        rendered, people = self._render(meal.note)
        typed = [normalise_tag(name) for name in meal.tags]
        tags = list({tag.key: tag for tag in (*typed, *rendered.tags)}.values())
        if len(tags) > MAX_TAGS:
            raise InputInvalid.of("tags", "too_many", max=MAX_TAGS)
        zone = meal.time_zone or default_zone
        post.food, post.note, post.note_html = meal.food, meal.note, rendered.html
        post.time_zone = zone
        # Whole seconds: what the API gives back must compare equal when it comes in again.
        post.eaten_at = (meal.eaten_at or default_time).astimezone(UTC).replace(microsecond=0)
        post.eaten_on = eaten_on(post.eaten_at, zone)
        post.meal_type = meal.meal_type or guess_for(
            self.work.connection, post.account_id, to_local(post.eaten_at, zone)
        )
        post.spoiler_text, post.sensitive, post.language = meal.spoiler_text, meal.sensitive, meal.language
        post.source, post.recipe_url = meal.source, meal.recipe_url
        post.diets = _ordered(Diet, meal.diets)
        post.allergens_contained = _ordered(Allergen, meal.allergens.contains)
        post.allergens_free_from = _ordered(Allergen, meal.allergens.free_from)
        post.tag_names = [tag.display for tag in tags]
        post.place_id = None if meal.place is None else PlaceIndex(self.work.session).find_or_add(meal.place)
        post.place_key = None if meal.place is None else place_key(meal.place.name)
        return Filled(tags, people)

    def _render(self, note: str) -> tuple[Rendered, tuple[int, ...]]:
        return render_with_people(self.work, self.base_url, note)

    def _keep_revision(self, post: Meal, before: dict[str, Any]) -> None:
        content = {
            name: value.isoformat()
            if isinstance(value, datetime)
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in before.items()
        }
        self.work.session.add(PostRevision(post_id=post.id, version=post.version, content=content))

    def _count(self, post: Meal, *, before: str | None, after: str | None) -> None:
        """Keep the two counts in which a meal that everybody may see shows: its author's, and the original's.

        Before the tags: everybody locks meals (the newer first), then the author, then tags, and nobody waits in a
        circle.
        """
        change = counts_publicly(after) - counts_publicly(before)
        if not change:
            return
        session = self.work.session
        if post.inspired_by_id is not None:
            original = update(Post).where(Post.id == post.inspired_by_id, Post.deleted_at.is_(None))
            session.execute(original.values(ate_too_count=Post.ate_too_count + change))
        author = update(Account).where(Account.id == post.account_id)
        session.execute(author.values(meals_count=Account.meals_count + change))


def render_with_people(work: Work, base_url: str, note: str) -> tuple[Rendered, tuple[int, ...]]:
    """A note as HTML, with links to the people of this site whom it names; and their account ids."""
    names = extract_mentions(note)[:MAX_MENTIONS]
    found = named_people(work.connection, names)
    rendered = render_note(
        note,
        tag_url=lambda key: base_url + tag_path(key),
        mention_url=lambda name: found.get(name.lower(), (None, 0))[0],
    )
    # In the order of the text, which the database does not keep.
    return rendered, tuple(found[name.lower()][1] for name in names if name.lower() in found)
