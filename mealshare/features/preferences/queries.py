"""Reading what somebody avoids; lists and cards look it up by themselves (`meals.cards`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from sqlalchemy import BigInteger, Connection, bindparam, select

from mealshare.core.db import fetch_one
from mealshare.features.meals.models import EatingPreference
from mealshare.features.meals.vocabulary import Allergen, AvoidMode, Diet


@dataclass(frozen=True)
class Preferences:
    """What somebody avoids and keeps to."""

    mode: Annotated[
        AvoidMode, Field(description="What becomes of meals that are declared to contain something you avoid.")
    ] = AvoidMode.WARN
    avoid: Annotated[tuple[Allergen, ...], Field(description="Allergens that you avoid.", examples=[["peanuts"]])] = ()
    diets: Annotated[tuple[Diet, ...], Field(description="Diets that you keep to.", examples=[["vegetarian"]])] = ()


_OF_ACCOUNT = select(EatingPreference.mode, EatingPreference.avoid, EatingPreference.diets).where(
    EatingPreference.account_id == bindparam("account", type_=BigInteger)
)


def preferences_of(connection: Connection, account_id: int) -> Preferences:
    """What the account avoids and keeps to; nothing, if it never said."""
    row = fetch_one(connection, _OF_ACCOUNT, {"account": account_id})
    return Preferences() if row is None else Preferences(AvoidMode(row.mode), row.avoid, row.diets)
