"""How what is found goes out."""

from __future__ import annotations

from mealshare.features.accounts.present import avatar_url
from mealshare.features.accounts.schemas_out import UserOut
from mealshare.features.meals.places import place_path
from mealshare.features.search.queries import FoundPerson, FoundPlace
from mealshare.features.search.schemas import FoundPlaceOut


def user_out(person: FoundPerson, base_url: str) -> UserOut:
    """A person in a few words."""
    return UserOut(person.username, person.display_name, avatar_url(base_url, person.avatar_key), person.url)


def place_out(place: FoundPlace, base_url: str) -> FoundPlaceOut:
    """A place in its public shape."""
    return FoundPlaceOut(place.name, place.city, place.country_code, base_url + place_path(place.name))
