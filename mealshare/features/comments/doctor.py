"""What `mealshare doctor` looks at: the counts of comments."""

from __future__ import annotations

from mealshare.core.doctor.counters import Counter
from mealshare.features.meals.models import Post

_POSTS = Post.__table__
_COMMENT = _POSTS.alias()

COUNTERS = (
    Counter(
        _POSTS, "comments_count", _COMMENT.c.root_id, (_COMMENT.c.kind == "comment", _COMMENT.c.deleted_at.is_(None)),
        living=(_POSTS.c.kind == "meal", _POSTS.c.deleted_at.is_(None)), newest_first=True,
    ),
)  # fmt: skip
