"""The picture pipeline: an uploaded file becomes small, upright WebP pictures free of all metadata.  Pure functions.

Three steps, dearer from one to the next: ``sniff`` looks at the first bytes, ``probe`` walks over the container and
refuses bombs without decoding (fit for the upload request), ``make_variants`` decodes and encodes (fit for a job).

Whatever a file holds, they answer or raise ImageRefused; the tests hold each hostile file to 400 MB and 5 seconds.
A 12-megapixel JPEG takes two thirds of the time that decoding it whole and resizing it twice takes (measured).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import blurhash
from PIL import Image

from .images_containers import read_gif, read_jpeg, read_png, read_webp
from .images_decode import decode, heic_supported
from .images_isobmff import brand_type, read_isobmff
from .images_types import Container, ImageLimits, ImageRefused, MediaType

__all__ = [
    "DEFAULT_LIMITS",
    "VARIANT_EDGES",
    "VARIANT_TYPE",
    "ImageLimits",
    "ImageRefused",
    "MediaType",
    "Probe",
    "Rendition",
    "Variant",
    "make_variants",
    "probe",
    "sniff",
]

#: Longest sides of the stored variants, in pixels.
VARIANT_EDGES = (400, 1600)
#: The media type of every variant.
VARIANT_TYPE = MediaType.WEBP
DEFAULT_LIMITS = ImageLimits()

_QUALITY = 80
_BLURHASH_EDGE = 32
_BLURHASH_COMPONENTS = (4, 3)
_READERS: Mapping[MediaType, Callable[[bytes], Container]] = {
    MediaType.JPEG: read_jpeg,
    MediaType.PNG: read_png,
    MediaType.WEBP: read_webp,
    MediaType.GIF: read_gif,
    MediaType.AVIF: lambda data: read_isobmff(data, MediaType.AVIF),
    MediaType.HEIC: lambda data: read_isobmff(data, MediaType.HEIC),
}


@dataclass(frozen=True)
class Probe:
    """What the header tells: the type, and the size in pixels as a viewer sees it (upright)."""

    type: MediaType
    width: int
    height: int


@dataclass(frozen=True)
class Variant:
    """One stored picture: a WebP file and its size in pixels."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Rendition:
    """All that is kept of an upload: its upright size, its blurhash (4 x 3) and the variants by longest side.

    A picture that is smaller than a variant is not enlarged: the variant then has the picture's own size.
    """

    width: int
    height: int
    blurhash: str
    variants: Mapping[int, Variant]


def sniff(head: bytes) -> MediaType | None:
    """The type of a file by its first bytes (256 suffice), never by its name; None when it is not accepted."""
    if head.startswith(b"\xff\xd8\xff"):
        return MediaType.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return MediaType.PNG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return MediaType.GIF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return MediaType.WEBP
    return brand_type(head)


def probe(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> Probe:
    """Look at a whole file without decoding it.  Raises ImageRefused (its docstring lists the codes)."""
    container = _inspect(data, limits)
    return Probe(container.type, *container.upright_size)


def make_variants(data: bytes, sizes: Sequence[int] = VARIANT_EDGES, limits: ImageLimits = DEFAULT_LIMITS) -> Rendition:
    """Decode the first picture of a file and encode it at each longest side of ``sizes``, in pixels.

    The variants are WebP in sRGB, upright, without any metadata; transparency is kept.  Raises ImageRefused.
    """
    if not sizes or min(sizes) < 1:
        raise ValueError("sizes must name at least one longest side of 1 pixel or more")
    container = _inspect(data, limits)
    try:
        picture, (width, height) = decode(container, max(sizes))
        variants: dict[int, Variant] = {}
        for edge in sorted(set(sizes), reverse=True):
            picture = _fit(picture, edge)
            variants[edge] = Variant(_webp(picture), *picture.size)
        return Rendition(width, height, _blurhash(picture), variants)
    except ImageRefused:
        raise
    except Exception as error:  # The decoders raise nearly every built-in exception on broken data.
        raise ImageRefused("broken") from error


def _inspect(data: bytes, limits: ImageLimits) -> Container:
    if len(data) > limits.bytes:
        raise ImageRefused("too_large", size=len(data), limit=limits.bytes)
    kind = sniff(data[:256])
    if kind is None:
        raise ImageRefused("unsupported_type")
    if kind is MediaType.HEIC and not heic_supported():
        raise ImageRefused("heic_not_supported")
    try:
        container = _READERS[kind](data)
    except ImageRefused:
        raise
    except Exception as error:  # As below: of bytes that somebody made up, a reader may raise anything.
        raise ImageRefused("broken") from error
    width, height = container.upright_size
    if width < 1 or height < 1:
        raise ImageRefused("broken")
    # The library warns above a limit of its own, process-wide; staying under it keeps warnings out of the way.
    limit = min(limits.pixels, Image.MAX_IMAGE_PIXELS or limits.pixels)
    if container.cost:
        limit = min(limit, limits.memory * width * height // container.cost)
    if width * height > limit:
        raise ImageRefused("too_many_pixels", width=width, height=height, limit=limit)
    return container


def _fit(picture: Image.Image, edge: int) -> Image.Image:
    """The picture with its longest side at most ``edge``; the same object when it fits already."""
    longest = max(picture.size)
    if longest <= edge:
        return picture
    size = (max(1, round(picture.width * edge / longest)), max(1, round(picture.height * edge / longest)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _webp(picture: Image.Image) -> bytes:
    """Encode the pixels alone; the encoder is told of no profile, Exif or XMP."""
    target = io.BytesIO()
    method = 1 if picture.mode == "RGBA" else 4  # Alpha is packed without loss; trying harder takes twice the time.
    picture.save(target, "WEBP", quality=_QUALITY, method=method, exif=b"", xmp=b"", icc_profile=b"")
    return target.getvalue()


def _blurhash(picture: Image.Image) -> str:
    tiny = picture.resize(
        (
            max(1, _BLURHASH_EDGE * picture.width // max(picture.size)),
            max(1, _BLURHASH_EDGE * picture.height // max(picture.size)),
        ),
        Image.Resampling.BOX,
    )
    if tiny.mode == "RGBA":  # Seen on a light page.
        tiny = Image.alpha_composite(Image.new("RGBA", tiny.size, "white"), tiny).convert("RGB")
    flat = tiny.tobytes()
    rows = [
        [flat[i : i + 3] for i in range(start, start + 3 * tiny.width, 3)]
        for start in range(0, len(flat), 3 * tiny.width)
    ]
    return str(blurhash.encode(rows, *_BLURHASH_COMPONENTS))
