"""The words of the picture pipeline: what is accepted, what bounds it, how it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

Bytes = bytes | memoryview


class MediaType(StrEnum):
    """A kind of picture that may be uploaded; the value is its media type (IANA registry)."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"
    GIF = "image/gif"
    AVIF = "image/avif"
    HEIC = "image/heic"


@dataclass(frozen=True)
class ImageLimits:
    """What one picture may cost: bytes of the file, pixels of the picture, bytes of memory while it is decoded.

    ``memory`` bounds the decoder alone, so that a process stays under 400 MB with the file and the results.  It lowers
    the pixel limit of the types whose decoders need much memory per pixel (WebP, AVIF) and refuses no usual JPEG.
    """

    bytes: int = 12_000_000
    pixels: int = 50_000_000
    memory: int = 320_000_000


class ImageRefused(Exception):
    """The file cannot become a picture here.

    ``code`` is one of ``unsupported_type``, ``heic_not_supported``, ``too_large`` (params: size, limit, in bytes),
    ``too_many_pixels`` (params: width, height, limit: the pixels that this type may have) and ``broken``.
    ``params`` are the values for the message that a face shows.
    """

    def __init__(self, code: str, **params: int) -> None:
        super().__init__(code, params)
        self.code = code
        self.params = params


@dataclass(frozen=True)
class Container:
    """A file reduced to what its picture needs; texts, profiles, previews and later frames are gone.

    ``width`` and ``height`` are as stored, before ``orientation`` (Exif tag 0x0112, 1-8) is applied.  ``parts`` joined
    are the file for the decoder.  ``cost`` is the memory that decoding takes, in bytes, as estimated from the header.
    """

    type: MediaType
    width: int
    height: int
    orientation: int
    icc: bytes | None
    parts: Sequence[Bytes]
    cost: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as a viewer sees them; orientations 5 to 8 swap the sides."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)
