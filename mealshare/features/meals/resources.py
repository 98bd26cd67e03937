"""What the addresses of meals lead to (traversal): a meal that the viewer may see, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

from pyramid.request import Request

from mealshare.core.ids import parse_id
from mealshare.core.security.identity import Identity
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.meals.queries import Card, card_by_id


def viewer_of(request: Request) -> int:
    """The account id of the one who looks, or `ANONYMOUS`."""
    identity: Identity | None = request.identity
    return ANONYMOUS if identity is None else identity.account_id


@dataclass(frozen=True)
class MealContext:
    """A meal that the viewer may see."""

    card: Card

    @property
    def id(self) -> int:
        """The meal's id."""
        return self.card.id

    @property
    def account_id(self) -> int:
        """Whose meal it is: what the rules ask."""
        return self.card.account_id


class Meals:
    """``/api/meals/{id}``: meals by id."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, key: str) -> MealContext:
        """The meal, or KeyError (404) when there is none that the viewer may see: the two must not differ."""
        try:
            id = parse_id(key)
        except ValueError:
            raise KeyError(key) from None
        card = card_by_id(self.request.conn, id, viewer_of(self.request))
        if card is None:
            raise KeyError(key)
        return MealContext(card)


class MealsOfPerson:
    """``/@{username}/{id}``: the same, but only under the name of the one who ate."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, username: str) -> _Person:
        return _Person(Meals(self.request), username.lower())


@dataclass(frozen=True)
class _Person:
    meals: Meals
    username: str

    def __getitem__(self, key: str) -> MealContext:
        context = self.meals[key]
        if context.card.username.lower() != self.username:
            raise KeyError(key)
        return context
