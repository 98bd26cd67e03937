"""What stands between people, as JSON."""

from __future__ import annotations

from dataclasses import replace

from mealshare.core.dates import rfc3339
from mealshare.features.accounts.present import avatar_url, person_out
from mealshare.features.accounts.queries import PersonContext
from mealshare.features.accounts.schemas_out import PersonOut, RelationOut, UserOut
from mealshare.features.social.models import FollowState
from mealshare.features.social.queries import ListedPerson
from mealshare.features.social.schemas import BlockOut, MuteOut


def listed_out(listed: ListedPerson, base_url: str, viewer: int) -> PersonOut:
    """A person in a list, as the account ``viewer`` sees them."""
    return person_out(listed.person, base_url, viewer)


def relation_out(person: PersonContext, following: FollowState, base_url: str, viewer: int) -> RelationOut:
    """How the account ``viewer`` stands to the person now that their follow is in the state ``following``."""
    changed = replace(person, relation=replace(person.relation, following=following.value))
    return person_out(changed, base_url, viewer).viewer


def block_out(listed: ListedPerson, base_url: str) -> BlockOut:
    """A person whom one has blocked."""
    return BlockOut(_user_out(listed.person, base_url), rfc3339(listed.since))


def mute_out(listed: ListedPerson, base_url: str) -> MuteOut:
    """A person whom one has muted."""
    until = None if listed.until is None else rfc3339(listed.until)
    return MuteOut(_user_out(listed.person, base_url), rfc3339(listed.since), until)


def _user_out(person: PersonContext, base_url: str) -> UserOut:
    return UserOut(person.username, person.display_name, avatar_url(base_url, person.avatar_key), person.url)
