"""The tables as Django's ORM maps them (``managed = False``: MealShare's migrations made them)."""

from __future__ import annotations

from typing import Any

from django.db import models

from benchmarks.frameworks.words import LABELS, OPEN


class JSONColumn(models.JSONField):
    """A column of PostgreSQL's type ``json``, which the driver reads by itself; Django expects ``jsonb``."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """The value, parsed."""
        return super().from_db_value(value, expression, connection) if isinstance(value, str) else value


class Account(models.Model):
    """A person."""

    id = models.BigIntegerField(primary_key=True)
    username = models.CharField(max_length=100)
    display_name = models.CharField(max_length=100)
    url = models.CharField(max_length=500)
    suspended_at = models.DateTimeField(null=True)
    meals_count = models.IntegerField()

    class Meta:
        managed, db_table, app_label = False, "accounts", "meals"


class Place(models.Model):
    """Where it was eaten."""

    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=200)
    city = models.CharField(max_length=100)
    country_code = models.CharField(max_length=2)
    spot = models.CharField(max_length=60, default="")
    name_key = models.CharField(max_length=400)
    city_key = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        managed, db_table, app_label = False, "places", "meals"


class Tag(models.Model):
    """A tag with the number of its public meals."""

    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=100, unique=True)
    display = models.CharField(max_length=100)
    meals_count = models.IntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        managed, db_table, app_label = False, "tags", "meals"


class MealQuerySet(models.QuerySet):
    """What everybody may see of meals."""

    def living(self) -> MealQuerySet:
        """Meals that are neither deleted nor of a suspended author."""
        return self.filter(kind="meal", deleted_at=None, account__suspended_at=None)

    def with_all(self) -> MealQuerySet:
        """With author, place and photos, and without the columns that no answer shows."""
        unused = (
            "kind", "uri", "spoiler_text", "sensitive", "deleted_at", "version", "eaten_on", "place_key", "diets",
            "allergens_contained", "allergens_free_from", "comments_closed", "account__suspended_at",
            "account__meals_count", "place__spot", "place__name_key", "place__city_key", "place__created_at",
        )  # fmt: skip
        return self.select_related("account", "place").prefetch_related("photos").defer(*unused)


class Meal(models.Model):
    """A meal."""

    id = models.BigIntegerField(primary_key=True)
    kind = models.CharField(max_length=20, default="meal")
    uri = models.CharField(max_length=500)
    url = models.CharField(max_length=500)
    account = models.ForeignKey(Account, models.CASCADE)
    food = models.CharField(max_length=140)
    note = models.TextField()
    note_html = models.TextField()
    spoiler_text = models.CharField(max_length=500, default="")
    sensitive = models.BooleanField(default=False)
    meal_type = models.CharField(max_length=20)
    eaten_at = models.DateTimeField()
    time_zone = models.CharField(max_length=64)
    eaten_on = models.DateField()
    visibility = models.CharField(max_length=20)
    created_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)
    version = models.IntegerField(default=1)
    place = models.ForeignKey(Place, models.SET_NULL, null=True)
    place_key = models.CharField(max_length=400, null=True)
    tag_names = JSONColumn()
    likes_count = models.IntegerField(default=0)
    comments_count = models.IntegerField(default=0)
    ate_too_count = models.IntegerField(default=0)
    diets = models.IntegerField(default=0)
    allergens_contained = models.IntegerField(default=0)
    allergens_free_from = models.IntegerField(default=0)
    comments_closed = models.BooleanField(default=False)

    objects = MealQuerySet.as_manager()

    class Meta:
        managed, db_table, app_label = False, "posts", "meals"

    @property
    def path(self) -> str:
        """Its page."""
        return f"/@{self.account.username}/{self.id}"

    @property
    def label(self) -> str:
        """Which meal of the day it was, in words."""
        return LABELS[self.meal_type]


class Photo(models.Model):
    """A picture of a meal."""

    id = models.BigIntegerField(primary_key=True)
    post = models.ForeignKey(Meal, models.CASCADE, related_name="photos")
    position = models.IntegerField()
    description = models.TextField()
    storage_key = models.CharField(max_length=100)
    blurhash = models.CharField(max_length=100, null=True)
    width = models.IntegerField(null=True)
    height = models.IntegerField(null=True)

    class Meta:
        managed, db_table, app_label, ordering = False, "media", "meals", ("position",)


class PostTag(models.Model):
    """Which meal has which tag."""

    pk = models.CompositePrimaryKey("tag_id", "post_id")
    tag = models.ForeignKey(Tag, models.CASCADE)
    post = models.ForeignKey(Meal, models.CASCADE)

    class Meta:
        managed, db_table, app_label = False, "post_tags", "meals"


class TimelineEntry(models.Model):
    """A meal in a home feed."""

    pk = models.CompositePrimaryKey("account_id", "post_id")
    account_id = models.BigIntegerField()
    post_id = models.BigIntegerField()
    author_id = models.BigIntegerField()

    class Meta:
        managed, db_table, app_label = False, "timeline_entries", "meals"


def public_meals(max_id: int) -> MealQuerySet:
    """The newest public meals below ``max_id``."""
    return Meal.objects.living().filter(visibility=OPEN[0], id__lt=max_id).with_all().order_by("-id")
