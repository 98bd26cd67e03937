"""What the addresses of meals lead to (traversal): a meal that the viewer may see, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from mealshare.core.ids import parse_id
from mealshare.features.accounts.resources import viewer_of
from mealshare.features.meals.cards import Card
from mealshare.features.meals.queries import card_by_id

__all__ = ["MealContext", "Meals", "MealsOfPerson", "PostsOfPerson", "add_post_kind", "viewer_of"]


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

    @property
    def username(self) -> str:
        """Under whose name it is found."""
        return self.card.username


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


class PostsOfPerson:
    """The same for whatever a person published: a meal, or something of a kind that a higher feature has added."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __getitem__(self, username: str) -> _Author:
        return _Author(self.request, username.lower())


@dataclass(frozen=True)
class _Author:
    request: Request
    username: str

    def __getitem__(self, key: str) -> Any:
        for posts in (Meals, *self.request.registry["post_kinds"]):
            try:
                context = posts(self.request)[key]
            except KeyError:
                continue
            if context.username.lower() == self.username:
                return context
        raise KeyError(key)


def add_post_kind(config: Configurator, posts: Callable[[Request], Any]) -> None:
    """Directive ``config.add_post_kind(posts)``: posts of another kind share the addresses of a person's meals.

    ``posts(request)[id]`` is a context with a ``username``, for which there are views at the routes meal, meal.uri,
    meal.edit and meal.delete; or KeyError where the viewer may see none.
    """
    config.registry["post_kinds"].append(posts)
