"""Files that come with a form: read within bounds, and counted against the limit of uploads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyramid.request import Request

from mealshare.core.errors import InputInvalid, TooLarge, TooMany
from mealshare.core.ratelimit import address_key
from mealshare.core.settings import settings_of
from mealshare.features.media.settings import MediaSettings

#: In the environ, because a request that is tried again after a conflict still uploads once.
_COUNTED = "mealshare.media.counted"


@dataclass(frozen=True)
class Upload:
    """One file as it came: its bytes (one more than allowed, if it has more), its name, and words for it."""

    data: bytes
    filename: str
    description: str


def read_photos(request: Request, settings: MediaSettings | None = None) -> list[Upload]:
    """The files of the repeated form field ``photo``, each with its ``photo_alt``; inputs left empty are skipped.

    Raises InputInvalid at ``media``: ``too_many``, ``not_a_file``, ``rate_limited`` (so that the form and its words
    come back, unlike with an error page).
    """
    settings = settings or settings_of(request.registry, MediaSettings)
    words = request.POST.getall("photo_alt")
    chosen: list[tuple[Any, str]] = []
    for index, value in enumerate(request.POST.getall("photo")):
        if isinstance(value, str | bytes):
            # A browser sends an input without a file as one without a name and content.
            if value.strip():
                raise InputInvalid.of("media", "not_a_file")
            continue
        alt = words[index] if index < len(words) and isinstance(words[index], str) else ""
        chosen.append((value, alt))
    if len(chosen) > settings.per_post:
        raise InputInvalid.of("media", "too_many", max=settings.per_post)
    try:
        count_uploads(request, len(chosen))
    except TooMany as error:
        raise InputInvalid.of("media", error.code, retry_after=error.retry_after) from None
    return [Upload(_read(value, settings.max_bytes), value.filename, alt) for value, alt in chosen]


def read_file(value: Any, settings: MediaSettings, field: str = "file") -> bytes:
    """The bytes of one uploaded file.  Raises InputInvalid (``not_a_file``, ``empty_file``) and TooLarge."""
    if not hasattr(value, "file"):
        raise InputInvalid.of(field, "not_a_file")
    data = _read(value, settings.max_bytes)
    if len(data) > settings.max_bytes:
        raise TooLarge("picture_too_large", limit=settings.max_bytes)
    if not data:
        raise InputInvalid.of(field, "empty_file")
    return data


def count_uploads(request: Request, number: int = 1) -> None:
    """Count ``number`` uploads of the person, or of a visitor's address.  Raises TooMany."""
    environ = request.environ
    if environ.get(_COUNTED):
        return
    identity = request.identity
    key = f"address:{address_key(environ.get('REMOTE_ADDR'))}" if identity is None else f"account:{identity.account_id}"
    for _ in range(number):
        decision = request.registry["ratelimit"].hit("upload", key)
        if not decision.allowed:
            raise TooMany(decision.retry_after, decision.limit)
    environ[_COUNTED] = True


def _read(value: Any, limit: int) -> bytes:
    data: bytes = value.file.read(limit + 1)
    return data
