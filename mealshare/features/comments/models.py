"""Comments: posts below a meal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mealshare.features.meals.models import Post


class Comment(Post):
    """An answer to a meal (``root_id``), or to a comment on it (``in_reply_to_id``); seen by whoever sees the meal."""

    __mapper_args__: Mapping[str, Any] = {"polymorphic_identity": "comment"}
