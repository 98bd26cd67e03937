"""Pictures that come with a form: stored at once, each in a transaction of its own, so that an error elsewhere in the
form does not lose them, and no write waits while a file is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyramid.request import Request

from mealshare.core.errors import DomainError, FieldError, InputInvalid
from mealshare.features.meals.form import in_order, kept_media
from mealshare.features.meals.schemas import MealInput
from mealshare.features.media.factory import media_service
from mealshare.features.media.queries import waiting_media
from mealshare.features.media.uploads import Upload, read_photos
from mealshare.features.media.urls import media_out
from mealshare.web.forms import Form


def add_pictures(
    request: Request, form: Form[MealInput], data: dict[str, Any], known: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Store what was uploaded for the signed-in person, and write the pictures into ``data`` and the form's tiles.

    ``known`` are the pictures that the meal has; beside them the form may name some that wait for a meal.
    """
    account_id = request.identity.account_id
    rows = [*known, *waiting_media(request.conn, account_id, form.values.get("media_id", []))]
    stored = store_uploads(request, form, account_id=account_id)
    finish(form, data, in_order(kept_media(form, rows), stored), [*rows, *stored])


def store_uploads(request: Request, form: Form[MealInput], **owner: int) -> list[Mapping[str, Any]]:
    """Store the uploaded files; one that is refused becomes an error of the form, the others stay."""
    try:
        uploads = read_photos(request)
    except InputInvalid as invalid:
        form.fail_with(invalid)
        return []
    stored = [_store(request, form, upload, owner) for upload in uploads]
    return [row for row in stored if row is not None]


def _store(request: Request, form: Form[MealInput], upload: Upload, owner: dict[str, int]) -> Mapping[str, Any] | None:
    try:
        with request.open_work() as work:
            service = media_service(work, request.registry)
            return service.upload(upload.data, description=upload.description, **owner)
    except InputInvalid as invalid:
        form.fail(*(FieldError("media", error.code, error.params) for error in invalid.errors))
    except DomainError as refused:
        form.fail(FieldError("media", refused.code, refused.params))
    return None


def finish(
    form: Form[MealInput], data: dict[str, Any], items: list[dict[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write the pictures into ``data``, and the tiles into the form."""
    data["media"] = items
    by_id = {str(row["id"]): row for row in rows}
    form.values["_media"] = [media_out({**by_id[item["id"]], "description": item["description"]}, "") for item in items]
