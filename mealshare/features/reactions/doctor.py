"""What `mealshare doctor` looks at: the counts of likes."""

from __future__ import annotations

from mealshare.core.doctor.counters import Counter
from mealshare.features.meals.models import Post
from mealshare.features.reactions.models import Like

_POSTS = Post.__table__

COUNTERS = (
    Counter(
        _POSTS, "likes_count", Like.__table__.c.post_id, living=(_POSTS.c.deleted_at.is_(None),), newest_first=True
    ),
)
