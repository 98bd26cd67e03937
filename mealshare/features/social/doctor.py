"""What `mealshare doctor` looks at: the counts of followers."""

from __future__ import annotations

from mealshare.core.doctor.counters import Counter
from mealshare.features.accounts.models import Account
from mealshare.features.social.models import Follow, FollowState

_FOLLOWS = Follow.__table__
_ACCEPTED = (_FOLLOWS.c.state == FollowState.ACCEPTED.value,)

COUNTERS = (
    Counter(Account.__table__, "followers_count", _FOLLOWS.c.target_id, _ACCEPTED),
    Counter(Account.__table__, "following_count", _FOLLOWS.c.account_id, _ACCEPTED),
)
