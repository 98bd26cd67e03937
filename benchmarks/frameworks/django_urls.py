"""The views and addresses of the Django application."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from benchmarks.frameworks.django_models import Account, Meal, Photo, Place, PostTag, Tag, TimelineEntry, public_meals
from benchmarks.frameworks.present import photo_urls
from benchmarks.frameworks.words import (
    BASE_URL,
    LABELS,
    MAX_ID,
    OPEN,
    PAGE,
    all_tags,
    day_of,
    new_id,
    next_link,
    note_html,
)


class UserSerializer(serializers.ModelSerializer):
    """Who ate it."""

    class Meta:
        model = Account
        fields = ("username", "display_name", "url")


class PlaceSerializer(serializers.ModelSerializer):
    """Where it was eaten, in both directions."""

    city = serializers.CharField(max_length=100, allow_blank=True, default="")
    country_code = serializers.RegexField("^([A-Z]{2})?$", allow_blank=True, default="")

    class Meta:
        model = Place
        fields = ("name", "city", "country_code")


class PhotoSerializer(serializers.ModelSerializer):
    """A picture."""

    id = serializers.CharField()
    url = serializers.SerializerMethodField()
    preview_url = serializers.SerializerMethodField()

    class Meta:
        model = Photo
        fields = ("id", "url", "preview_url", "description", "blurhash", "width", "height")

    def get_url(self, photo: Photo) -> str:
        """The large variant."""
        return photo_urls(photo.storage_key)[0]

    def get_preview_url(self, photo: Photo) -> str:
        """The small variant."""
        return photo_urls(photo.storage_key)[1]


class MealSerializer(serializers.ModelSerializer):
    """A meal as it goes out."""

    id = serializers.CharField()
    user = UserSerializer(source="account")
    place = PlaceSerializer()
    tags = serializers.SerializerMethodField()
    media = PhotoSerializer(source="photos", many=True)

    class Meta:
        model = Meal
        fields = (
            "id", "url", "food", "note", "note_html", "meal_type", "eaten_at", "time_zone", "created_at", "visibility",
            "user", "place", "tags", "media", "likes_count", "comments_count", "ate_too_count",
        )  # fmt: skip

    def get_tags(self, meal: Meal) -> list[dict[str, str]]:
        """The tags as they were typed."""
        return [{"name": name} for name in meal.tag_names]


class MealInput(serializers.Serializer):
    """A meal as it comes in."""

    food = serializers.CharField(max_length=140)
    note = serializers.CharField(max_length=2000, allow_blank=True, default="")
    meal_type = serializers.ChoiceField(list(LABELS), default="snack")
    eaten_at = serializers.DateTimeField()
    time_zone = serializers.CharField(max_length=64, default="UTC")
    visibility = serializers.ChoiceField(("public", "unlisted", "followers", "only_me"), default="public")
    place = PlaceSerializer(allow_null=True, default=None)
    tags = serializers.ListField(child=serializers.CharField(max_length=100), max_length=20, default=list)


def _max_id(text: str | None) -> int:
    if text is None:
        return MAX_ID
    if not text.isdecimal():
        raise serializers.ValidationError({"max_id": "not a number"})
    return int(text)


@api_view()
def feed(request: Request) -> Response:
    """The public feed."""
    meals = list(public_meals(_max_id(request.query_params.get("max_id")))[: PAGE + 1])
    headers = {"Link": next_link("/api/feed/public", meals[PAGE - 1].id)} if len(meals) > PAGE else {}
    return Response(MealSerializer(meals[:PAGE], many=True).data, headers=headers)


def _one(id: int) -> Meal:
    found = Meal.objects.living().filter(id=id, visibility__in=OPEN).with_all().first()
    if found is None:
        raise Http404
    return found


@api_view()
def meal(request: Request, id: int) -> Response:
    """One meal."""
    return Response(MealSerializer(_one(id)).data)


@api_view(["POST"])
def create(request: Request) -> Response:
    """Post a meal."""
    claims = request.user
    if claims is None:
        raise NotAuthenticated
    given = MealInput(data=request.data)
    given.is_valid(raise_exception=True)
    with transaction.atomic():
        id = _post(claims, given.validated_data)
    return Response(MealSerializer(_one(id)).data, status=201)


def _post(claims: dict[str, Any], given: dict[str, Any]) -> int:
    account, username, id, now = int(claims["sub"]), claims["username"], new_id(), datetime.now(UTC)
    place, where = None, given["place"]
    if where is not None:
        keys = {"name_key": where["name"].casefold(), "city_key": where["city"].casefold(), "created_at": now}
        place, _ = Place.objects.get_or_create(**where, spot="", defaults={"id": new_id(), **keys})
    tags = all_tags(given["tags"], given["note"])
    Meal.objects.create(
        id=id, account_id=account, uri=f"{BASE_URL}/users/{username}/posts/{id}", url=f"{BASE_URL}/@{username}/{id}",
        food=given["food"], note=given["note"], note_html=note_html(given["note"]), meal_type=given["meal_type"],
        eaten_at=given["eaten_at"].replace(microsecond=0), time_zone=given["time_zone"],
        eaten_on=day_of(given["eaten_at"], given["time_zone"]), visibility=given["visibility"], created_at=now,
        place=place, place_key=None if where is None else where["name"].casefold(), tag_names=tags,
    )  # fmt: skip
    if given["visibility"] in OPEN:
        Account.objects.filter(id=account).update(meals_count=F("meals_count") + 1)
    if tags:
        keyed = {tag.casefold(): tag for tag in tags}
        rows = [Tag(id=new_id(), name=key, display=tag, created_at=now) for key, tag in sorted(keyed.items())]
        Tag.objects.bulk_create(rows, ignore_conflicts=True)
        ids = list(Tag.objects.filter(name__in=keyed).order_by("id").values_list("id", flat=True))
        PostTag.objects.bulk_create([PostTag(tag_id=tag_id, post_id=id) for tag_id in ids])
        if given["visibility"] == OPEN[0]:
            Tag.objects.filter(id__in=ids).update(meals_count=F("meals_count") + 1)
    TimelineEntry.objects.create(account_id=account, post_id=id, author_id=account)
    return id


def front(request: HttpRequest) -> HttpResponse:
    """The newest public meals as a page."""
    meals = list(public_meals(_max_id(request.GET.get("max_id")))[: PAGE + 1])
    older = meals[PAGE - 1].id if len(meals) > PAGE else None
    return render(request, "front.html", {"meals": meals[:PAGE], "older": older})


urlpatterns = [
    path("", front),
    path("api/feed/public", feed),
    path("api/meals", create),
    path("api/meals/<int:id>", meal),
]
