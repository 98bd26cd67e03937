"""What `mealshare doctor` looks at: the counts in which meals are."""

from __future__ import annotations

from mealshare.core.doctor.counters import Counter
from mealshare.features.accounts.models import Account
from mealshare.features.meals.indexing import counts_publicly
from mealshare.features.meals.models import Post, PostTag, Tag
from mealshare.features.meals.vocabulary import Visibility

_MEAL = Post.__table__.alias()
_PUBLIC = tuple(item.value for item in Visibility if counts_publicly(item.value))
_POSTS = Post.__table__
_LIVES = (_MEAL.c.kind == "meal", _MEAL.c.deleted_at.is_(None))

COUNTERS = (
    Counter(
        Account.__table__, "meals_count", _MEAL.c.account_id, (*_LIVES, _MEAL.c.visibility.in_(_PUBLIC))
    ),
    Counter(
        _POSTS, "ate_too_count", _MEAL.c.inspired_by_id, (*_LIVES, _MEAL.c.visibility.in_(_PUBLIC)),
        living=(_POSTS.c.deleted_at.is_(None),), newest_first=True,
    ),
    Counter(
        Tag.__table__, "meals_count", PostTag.__table__.c.tag_id,
        (*_LIVES, _MEAL.c.visibility == Visibility.PUBLIC.value, _MEAL.c.id == PostTag.__table__.c.post_id),
    ),
)  # fmt: skip
