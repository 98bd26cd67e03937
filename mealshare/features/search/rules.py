"""Who may search: everybody; what they find depends on who they are."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.security.permissions import Permission, Predicate, public


class SearchPermission(Permission):
    """What can be done with the index."""

    SEARCH = "search:search"


RULES: Mapping[Permission, Predicate] = {SearchPermission.SEARCH: public}
