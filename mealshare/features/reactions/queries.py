"""Reading reactions: what somebody wants to eat, and who ate a meal too."""

from __future__ import annotations

from sqlalchemy import BigInteger, bindparam
from sqlalchemy.orm import aliased

from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import unmuted, viewer_id, visible
from mealshare.features.meals.cards import CardList
from mealshare.features.meals.models import Post
from mealshare.features.reactions.models import Want

# Every card looks whether the viewer wants it, by another name.
_listed_want = aliased(Want, name="listed_want")

#: What the viewer wants to eat, the latest wish first.  A muted person's meal stays: one has put it there oneself.
WANTED = CardList.where(
    lambda personal: (_listed_want.account_id == viewer_id(), visible(Post, Account, personal=personal)),
    key=_listed_want.id,
    join=(_listed_want, _listed_want.post_id == Post.id),
)

#: The meals of people who ate the meal ``original`` too, as far as the viewer may see them; the newest first.
ATE_TOO = CardList.where(
    lambda personal: (
        Post.inspired_by_id == bindparam("original", type_=BigInteger),
        visible(Post, Account, personal=personal),
        unmuted(Post, personal=personal),
    )
)
