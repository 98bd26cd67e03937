"""The closed lists of words that a meal may carry.

The values are what the API and the database hold and never change; ``label`` is what people read, and is translated.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pyramid.i18n import TranslationString

from mealshare.core.i18n import _


class Word(StrEnum):
    """A value with a label: a member is its value (``Diet.VEGAN == "vegan"``)."""

    _label: TranslationString

    def __new__(cls, value: str, label: TranslationString | str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member._label = label
        return member

    @property
    def label(self) -> TranslationString:
        """The words for people, as a message for ``request.translate``; its text is the English."""
        return self._label


class MealType(Word):
    """Which meal of the day it was; in the order of the day."""

    BREAKFAST = "breakfast", _("Breakfast")
    BRUNCH = "brunch", _("Brunch")
    LUNCH = "lunch", _("Lunch")
    SNACK = "snack", _("Snack")
    DINNER = "dinner", _("Dinner")
    LATE_NIGHT = "late_night", _("Late-night bite")
    DRINK = "drink", _("Drink")

    @property
    def icon(self) -> str:
        """The name of its icon in the icon sprite."""
        return _ICONS[self]


_ICONS = {
    MealType.BREAKFAST: "egg-fried",
    MealType.BRUNCH: "croissant",
    MealType.LUNCH: "soup",
    MealType.SNACK: "cookie",
    MealType.DINNER: "utensils",
    MealType.LATE_NIGHT: "moon",
    MealType.DRINK: "cup-soda",
}


class Visibility(Word):
    """Who may see a meal, from everybody to nobody else."""

    PUBLIC = "public", _("Public")
    UNLISTED = "unlisted", _("Quiet public")
    FOLLOWERS = "followers", _("Followers only")
    ONLY_ME = "only_me", _("Only me")


class AvoidMode(Word):
    """What becomes of meals with something that a person avoids."""

    HIDE = "hide", _("Leave them out")
    WARN = "warn", _("Show them with a warning")


class Source(Word):
    """Where the food came from."""

    HOME = "home", _("Cooked at home")
    RESTAURANT = "restaurant", _("Restaurant")
    TAKEAWAY = "takeaway", _("Takeaway")
    CANTEEN = "canteen", _("Canteen")
    STREET = "street", _("Street food")
    PACKAGED = "packaged", _("Packaged food")
    OTHER = "other", _("Other")


class Diet(Word):
    """A diet that the meal suits: the values of schema.org's RestrictedDiet."""

    VEGAN = "vegan", _("Vegan")
    VEGETARIAN = "vegetarian", _("Vegetarian")
    HALAL = "halal", _("Halal")
    KOSHER = "kosher", _("Kosher")
    HINDU = "hindu", _("Hindu")
    GLUTEN_FREE = "gluten_free", _("Gluten-free")
    LOW_LACTOSE = "low_lactose", _("Low lactose")
    LOW_SALT = "low_salt", _("Low salt")
    DIABETIC = "diabetic", _("Diabetic")


class Allergen(Word):
    """The fourteen allergens of Regulation (EU) No 1169/2011, Annex II, in its order."""

    GLUTEN = "gluten", _("Gluten")
    CRUSTACEANS = "crustaceans", _("Crustaceans")
    EGGS = "eggs", _("Eggs")
    FISH = "fish", _("Fish")
    PEANUTS = "peanuts", _("Peanuts")
    SOYBEANS = "soybeans", _("Soybeans")
    MILK = "milk", _("Milk")
    NUTS = "nuts", _("Nuts")
    CELERY = "celery", _("Celery")
    MUSTARD = "mustard", _("Mustard")
    SESAME = "sesame", _("Sesame")
    SULPHITES = "sulphites", _("Sulphites")
    LUPIN = "lupin", _("Lupin")
    MOLLUSCS = "molluscs", _("Molluscs")
