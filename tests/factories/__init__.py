"""Test data where any will do: factories of what services take, each value different from the last one's."""

from __future__ import annotations

from functools import cache
from typing import Any

import factory

from mealshare.core.security.passwords import hash_password
from mealshare.features.accounts.service import NewAccount
from mealshare.features.meals.schemas import MealInput

#: Everybody's, unless a test says otherwise.
PASSWORD = "sesame noodles at midnight"

#: One hash takes as long as a whole test; the same password needs only one.
hashed = cache(hash_password)


class NewAccountFactory(factory.Factory[NewAccount]):
    """An account to be made; ``password`` is hashed."""

    class Meta:
        model = NewAccount

    class Params:
        password = PASSWORD

    username = factory.Sequence(lambda number: f"person{number}")
    email = factory.LazyAttribute(lambda new: f"{new.username}@example.org")
    password_hash = factory.LazyAttribute(lambda new: hashed(new.password))


class MealInputFactory(factory.Factory[MealInput]):
    """A meal to be posted, given as the API takes it: ``MealInputFactory(note="#spicy", visibility="unlisted")``."""

    class Meta:
        model = MealInput

    food = factory.Sequence(lambda number: f"番茄炒蛋 number {number}")

    @classmethod
    def _create(cls, model_class: type[MealInput], *args: Any, **given: Any) -> MealInput:
        return model_class.model_validate(given, strict=False)
