"""What pictures may cost, and how long one may wait for its meal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mealshare.core.settings import setting
from mealshare.features.media.images import ImageLimits, MediaType

#: Characters of the words that stand for a picture.
MAX_DESCRIPTION = 1500


@dataclass(frozen=True)
class MediaSettings:
    """Limits of uploads."""

    max_bytes: int = setting(
        12_000_000, "Bytes that an uploaded picture may have.", minimum=10_000, maximum=100_000_000
    )
    max_pixels: int = setting(50_000_000, "Pixels that one uploaded picture may have.", minimum=10_000)
    per_post: int = setting(4, "Pictures that one meal may have.", minimum=1, maximum=10)
    unattached_hours: int = setting(24, "Hours after which a picture that no meal shows is removed.", minimum=1)
    delivery: str = setting(
        "app",
        "How pictures leave: through the application, by the web server in front (X-Accel-Redirect), or straight from S3.",
        choices=("app", "accel", "redirect"),
    )
    url_seconds: int = setting(
        300, "Seconds for which an address that S3 answers itself is good.", minimum=30, maximum=86_400
    )
    allow_heic: bool = setting(True, "Take HEIC pictures, where the extra that reads them is installed.")

    @property
    def limits(self) -> ImageLimits:
        """The limits as the picture pipeline takes them."""
        return ImageLimits(bytes=self.max_bytes, pixels=self.max_pixels)

    @property
    def unattached_life(self) -> timedelta:
        """How long a picture may wait for a meal."""
        return timedelta(hours=self.unattached_hours)

    @property
    def types(self) -> list[str]:
        """The media types that are taken."""
        return [str(kind) for kind in MediaType if kind is not MediaType.HEIC or self.allow_heic]
