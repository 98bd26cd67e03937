"""What the demo people do with each other: they follow, comment, want, and eat the same.

By the services that people's own doing goes through, so counts, home feeds and notifications come about as they do on a
real site.  The same data gives the same site each time.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files

import orjson
from sqlalchemy import or_, select, update

from mealshare.core.work import Work
from mealshare.features.comments.service import CommentService
from mealshare.features.meals.models import Meal, Post
from mealshare.features.meals.schemas import MealInput
from mealshare.features.meals.service import MealService
from mealshare.features.meals.vocabulary import Visibility
from mealshare.features.notifications.models import Notification
from mealshare.features.reactions.service import WantService
from mealshare.features.social.service import FollowService

#: How many others somebody follows, of whom most speak the same language.
_FOLLOWS = (5, 14)
_SAME_LANGUAGE = 4
#: Of how many meals one gets comments, one is eaten by somebody else too, and one is wanted by each person.
_COMMENTED = 3
_COPIED = 12
_WANTED = 40
_COMMENTED_WITHIN = (3, 600)
_COPIED_AFTER = timedelta(hours=26)
_UNREAD_FOR = timedelta(days=1)
_SEEN = (Visibility.PUBLIC, Visibility.UNLISTED)


@dataclass(frozen=True)
class SocialPerson:
    """Somebody who can do something: the account, and the language in which they write."""

    account_id: int
    username: str
    language: str


class SocialLife:
    """Lets people act on meals in one unit of work."""

    def __init__(self, work: Work, meals: MealService, people: Sequence[SocialPerson], moment: datetime) -> None:
        self.meals = meals
        self.people = people
        self.now = moment
        self.follows = FollowService(work)
        self.comments = CommentService(work, meals.base_url)
        self.wants = WantService(work)
        self.work = work
        self.words = _words()
        # Not a secret: chance that is the same each time.
        self.chance = random.Random("mealshare social")  # noqa: S311  Not a secret: the same each time.

    def follow(self) -> None:
        """Everybody follows some others, rather those whose language they speak."""
        for person in self.people:
            others = [other for other in self.people if other is not person]
            near = [other for other in others if other.language == person.language]
            pool = others + near * _SAME_LANGUAGE
            chosen = self.chance.sample(pool, min(self.chance.randint(*_FOLLOWS), len(pool)))
            for other in sorted({other.account_id for other in chosen}):
                self.follows.follow(person.account_id, other)

    def after(self, post: Meal, given: MealInput) -> None:
        """What others do about a meal that was just posted."""
        if post.visibility not in _SEEN or len(self.people) < 2:
            return
        if self.chance.randrange(_COMMENTED) == 0:
            self._comment(post)
        if self.chance.randrange(_COPIED) == 0:
            self._copy(post, given)
        for person in self.people:
            if person.account_id != post.account_id and self.chance.randrange(_WANTED) == 0:
                self.wants.want(person.account_id, post.id)

    def read(self) -> None:
        """What happened long ago has been read: the site would begin with hundreds of notifications for everybody."""
        session = self.work.session
        when = select(Post.created_at).where(Post.id == Notification.post_id).scalar_subquery()
        session.execute(update(Notification).where(Notification.post_id.is_not(None)).values(created_at=when))
        session.execute(update(Notification).where(Notification.post_id.is_(None)).values(created_at=self.now))
        old = or_(Notification.post_id.is_(None), Notification.created_at < self.now - _UNREAD_FOR)
        session.execute(update(Notification).where(old).values(read_at=self.now))

    def _comment(self, post: Meal) -> None:
        author = next(person for person in self.people if person.account_id == post.account_id)
        for person in self._others(post, self.chance.choice((1, 1, 2, 3))):
            moment = min(post.created_at + timedelta(minutes=self.chance.randint(*_COMMENTED_WITHIN)), self.now)
            words = self.chance.choice(self.words[person.language]["comments"])
            first = self.comments.post(person.account_id, post.id, words, at=moment)
            if self.chance.randrange(2) == 0:
                answer = f"@{person.username} {self.chance.choice(self.words[author.language]['replies'])}"
                later = min(moment + timedelta(minutes=7), self.now)
                self.comments.post(author.account_id, post.id, answer, in_reply_to=first.id, at=later)

    def _copy(self, post: Meal, given: MealInput) -> None:
        moment = post.created_at + _COPIED_AFTER
        if moment > self.now:
            return
        (person,) = self._others(post, 1)
        same = given.model_copy(
            update={"note": "", "media": [], "place": None, "eaten_at": moment, "source": None, "recipe_url": None}
        )
        self.meals.post(person.account_id, same, at=moment, inspired_by=post.id)

    def _others(self, post: Meal, number: int) -> list[SocialPerson]:
        """Some who are not the author, rather those who can read the meal's words."""
        others = [person for person in self.people if person.account_id != post.account_id]
        near = [person for person in others if person.language == post.language]
        pool = near if len(near) >= number else others
        return self.chance.sample(pool, min(number, len(pool)))


def _words() -> Mapping[str, Mapping[str, Sequence[str]]]:
    found: Mapping[str, Mapping[str, Sequence[str]]] = orjson.loads(
        (files("mealshare.cli") / "demo" / "comments.json").read_bytes()
    )
    return found
