"""Is this a picture that can be kept?  Looks at the header only, and says no in words that a face can show."""

from __future__ import annotations

from mealshare.core.errors import DomainError, InputInvalid, TooLarge, UnsupportedType
from mealshare.core.i18n import _
from mealshare.core.text import clean_text
from mealshare.features.media.images import ImageRefused, MediaType, Probe, probe
from mealshare.features.media.settings import MAX_DESCRIPTION, MediaSettings

#: What stands in front of the pipeline's codes wherever other codes are about.
PREFIX = "picture_"
#: The file of a picture that waited for its variants is gone.
LOST = "lost"

#: Refusals of the file as a whole: problem code, status, words.
PROBLEMS: dict[str, tuple[int, str]] = {
    "picture_unsupported_type": (
        415,
        _("This is no picture of a kind that is taken here: JPEG, PNG, WebP, GIF, AVIF."),
    ),
    "picture_heic_not_supported": (415, _("HEIC pictures cannot be read here. Please save it as JPEG.")),
    "picture_too_large": (413, _("The file of this picture is too large.")),
}
#: Refusals of what is in it.
MESSAGES: dict[str, str] = {
    "picture_too_many_pixels": _("This picture has too many pixels; at most ${limit} are allowed."),
    "picture_broken": _("This picture is broken and cannot be read."),
    "picture_lost": _("This picture was lost. Please upload it again."),
    "empty_file": _("The file is empty."),
    "not_a_file": _("This must be a file."),
    "media_not_found": _("There is no such picture of yours that another meal does not show."),
}


def refusal(refused: ImageRefused, field: str = "file") -> DomainError:
    """What the pipeline refused, as an error of ours: 413, 415, or 422 at ``field``."""
    code = PREFIX + refused.code
    if refused.code == "too_large":
        return TooLarge(code, **refused.params)
    if code in PROBLEMS:
        return UnsupportedType(code, **refused.params)
    return InputInvalid.of(field, code, **refused.params)


def check_picture(data: bytes, settings: MediaSettings, field: str = "file") -> Probe:
    """What the header of ``data`` tells; raises TooLarge, UnsupportedType or InputInvalid, and keeps nothing."""
    if not data:
        raise InputInvalid.of(field, "empty_file")
    try:
        found = probe(data, settings.limits)
    except ImageRefused as refused:
        raise refusal(refused, field) from refused
    if found.type is MediaType.HEIC and not settings.allow_heic:
        raise refusal(ImageRefused("heic_not_supported"), field)
    return found


def check_description(text: str) -> str:
    """The words for a picture as they are stored; raises InputInvalid."""
    try:
        text = clean_text(text, multiline=True)
    except ValueError:
        raise InputInvalid.of("description", "control_characters") from None
    if len(text) > MAX_DESCRIPTION:
        raise InputInvalid.of("description", "too_long", max=MAX_DESCRIPTION)
    return text
