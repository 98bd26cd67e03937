"""A meal of SQLAlchemy's ORM in its public shape: as dictionaries, and as the schemas of pydantic that FastAPI wants."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from benchmarks.frameworks.orm import Meal
from benchmarks.frameworks.words import BASE_URL, iso, utc


def photo_urls(key: str) -> tuple[str, str]:
    """The addresses of a picture and of its preview."""
    return f"{BASE_URL}/media/{key}/1600.webp", f"{BASE_URL}/media/{key}/400.webp"


def meal_json(meal: Meal) -> dict[str, Any]:
    """The meal as dictionaries."""
    place = meal.place
    return {
        "id": str(meal.id), "url": meal.url, "food": meal.food, "note": meal.note, "note_html": meal.note_html,
        "meal_type": meal.meal_type, "eaten_at": iso(meal.eaten_at), "time_zone": meal.time_zone,
        "created_at": iso(meal.created_at), "visibility": meal.visibility,
        "user": {"username": meal.author.username, "display_name": meal.author.display_name, "url": meal.author.url},
        "place": place and {"name": place.name, "city": place.city, "country_code": place.country_code},
        "tags": [{"name": name} for name in meal.tag_names],
        "media": [
            dict(
                zip(("url", "preview_url"), photo_urls(photo.storage_key), strict=True), id=str(photo.id),
                description=photo.description, blurhash=photo.blurhash, width=photo.width, height=photo.height,
            )
            for photo in meal.photos
        ],
        "likes_count": meal.likes_count, "comments_count": meal.comments_count, "ate_too_count": meal.ate_too_count,
    }  # fmt: skip


class UserOut(BaseModel):
    """Who ate it."""

    username: str
    display_name: str
    url: str


class PlaceOut(BaseModel):
    """Where it was eaten."""

    name: str
    city: str
    country_code: str


class TagOut(BaseModel):
    """A tag."""

    name: str


class PhotoOut(BaseModel):
    """A picture."""

    id: str
    url: str
    preview_url: str
    description: str
    blurhash: str | None
    width: int | None
    height: int | None


class MealOut(BaseModel):
    """A meal."""

    id: str
    url: str
    food: str
    note: str
    note_html: str
    meal_type: str
    eaten_at: datetime
    time_zone: str
    created_at: datetime
    visibility: str
    user: UserOut
    place: PlaceOut | None
    tags: list[TagOut]
    media: list[PhotoOut]
    likes_count: int
    comments_count: int
    ate_too_count: int


def meal_out(meal: Meal) -> MealOut:
    """The meal as a schema."""
    author, place = meal.author, meal.place
    photos = [(photo, *photo_urls(photo.storage_key)) for photo in meal.photos]
    return MealOut(
        id=str(meal.id), url=meal.url, food=meal.food, note=meal.note, note_html=meal.note_html, meal_type=meal.meal_type,
        eaten_at=utc(meal.eaten_at), time_zone=meal.time_zone, created_at=utc(meal.created_at),
        visibility=meal.visibility,
        user=UserOut(username=author.username, display_name=author.display_name, url=author.url),
        place=None if place is None else PlaceOut(name=place.name, city=place.city, country_code=place.country_code),
        tags=[TagOut(name=name) for name in meal.tag_names],
        media=[
            PhotoOut(
                id=str(photo.id), url=url, preview_url=preview, description=photo.description, blurhash=photo.blurhash,
                width=photo.width, height=photo.height,
            )
            for photo, url, preview in photos
        ],
        likes_count=meal.likes_count, comments_count=meal.comments_count, ate_too_count=meal.ate_too_count,
    )  # fmt: skip
