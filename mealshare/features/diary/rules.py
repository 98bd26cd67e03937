"""Who may read a diary: everybody what they may see of it; as a file, only its owner."""

from __future__ import annotations

from collections.abc import Mapping

from mealshare.core.security.permissions import Permission, Predicate, both, owner, public
from mealshare.features.accounts.rules import Scope, with_scope


class DiaryPermission(Permission):
    """What can be done with a diary; that the viewer may know its owner was settled when it was looked up."""

    #: Read the meals that the viewer may see.
    READ = "diary:read"
    #: Take it away as a file, private meals included.
    EXPORT = "diary:export"


RULES: Mapping[Permission, Predicate] = {
    DiaryPermission.READ: public,
    DiaryPermission.EXPORT: both(with_scope(Scope.READ), owner),
}
