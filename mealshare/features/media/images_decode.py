"""Decodes a container into a small upright sRGB picture, holding as few copies of the large one as possible."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType

from PIL import Image, ImageCms
from PIL.AvifImagePlugin import AvifImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from .images_types import Container, ImageRefused, MediaType

pillow_heif: ModuleType | None
try:
    pillow_heif = import_module("pillow_heif")
except ImportError:
    pillow_heif = None

#: The only decoders that a file may reach.  They register themselves when they are imported; without that Image.open
#: would import all that the library has.
_DECODERS: Mapping[MediaType, type[ImageFile]] = {
    MediaType.JPEG: JpegImageFile,
    MediaType.PNG: PngImageFile,
    MediaType.WEBP: WebPImageFile,
    MediaType.GIF: GifImageFile,
    MediaType.AVIF: AvifImageFile,
}
#: Pixels of one band while a large picture is made smaller; every step works on a band, never on the whole.
_BAND_PIXELS = 1 << 20
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SRGB = ImageCms.createProfile("sRGB")

BandSource = Callable[[int, int], Image.Image]


def heic_supported() -> bool:
    """Whether the extra that decodes HEIC is installed."""
    return pillow_heif is not None


def decode(container: Container, edge: int) -> tuple[Image.Image, tuple[int, int]]:
    """The picture in RGB or RGBA, upright, in sRGB, longest side at most ``edge``; and its full upright size.

    May raise whatever the decoders raise on broken data.
    """
    data = b"".join(container.parts)
    size, icc, orientation, picture = (_decode_heic if container.type is MediaType.HEIC else _decode_pillow)(
        container, data, edge
    )
    if max(picture.size) > edge:
        picture.thumbnail((edge, edge), Image.Resampling.LANCZOS, reducing_gap=None)
    picture = _to_srgb(picture, icc)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
    return picture, (size[1], size[0]) if orientation >= 5 else size


_Decoded = tuple[tuple[int, int], bytes | None, int, Image.Image]


def _decode_pillow(container: Container, data: bytes, edge: int) -> _Decoded:
    with Image.open(io.BytesIO(data), formats=[str(_DECODERS[container.type].format)]) as image:
        size, icc, orientation = image.size, container.icc, container.orientation
        if size != (container.width, container.height):
            raise ImageRefused("broken")  # The limits were checked against another size.
        if container.type is MediaType.AVIF:
            # The library tells the turn and mirror boxes in the words of Exif.
            orientation, icc = image.getexif().get(0x0112, 1), image.info.get("icc_profile")
        # JPEG is decoded at a half, a quarter or an eighth where that is large enough: at a half in half the time.
        longest = max(size)
        image.draft(None, (max(1, size[0] * edge // longest), max(1, size[1] * edge // longest)))
        image.load()
        return (
            size,
            icc,
            orientation,
            _shrink(image.size, edge, lambda top, end: image.crop((0, top, image.width, end))),
        )


def _decode_heic(container: Container, data: bytes, edge: int) -> _Decoded:
    if pillow_heif is None:
        raise ImageRefused("heic_not_supported")
    heif = pillow_heif.open_heif(data, convert_hdr_to_8bit=True)
    pixels, mode, stride = memoryview(heif.data), heif.mode, heif.stride  # Upright already.
    width, height = heif.size
    if width * height > (container.width + 1) * (container.height + 1):
        raise ImageRefused("broken")  # The limits were checked against a smaller size (crops may round otherwise).

    def band(top: int, end: int) -> Image.Image:
        rows = bytes(pixels[top * stride : end * stride])
        return Image.frombuffer(mode, (width, end - top), rows, "raw", mode, stride, 1)

    return (width, height), heif.info.get("icc_profile"), 1, _shrink((width, height), edge, band)


def _shrink(size: tuple[int, int], edge: int, source: BandSource) -> Image.Image:
    """Average the picture by a whole factor so far that at least twice ``edge`` is left, in a mode of eight bits."""
    width, height = size
    factor = max(1, max(size) // (2 * edge))
    rows = max(factor, _BAND_PIXELS // width // factor * factor)
    small: Image.Image | None = None
    for top in range(0, height, rows):
        band = _eight_bits(source(top, min(height, top + rows)))
        if band.mode == "RGBA":
            band = band.convert("RGBa")  # Transparent pixels must not colour their neighbours.
        if factor > 1:
            band = band.reduce(factor)
        if small is None:
            small = Image.new(band.mode, (band.width, -(-height // factor)))
        small.paste(band, (0, top // factor))
    if small is None:
        raise ImageRefused("broken")
    return small.convert("RGBA") if small.mode == "RGBa" else small


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image in L, RGB, RGBA or CMYK, whatever it was stored in."""
    if image.mode.startswith("I"):  # 16-bit grey: a plain conversion would clip instead of scale.
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("RGBA", "CMYK") or (image.mode in ("L", "RGB") and "transparency" not in image.info):
        return image
    if image.has_transparency_data or image.mode in ("LA", "La", "PA", "RGBa"):
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Convert from the embedded profile; one that is unusable or of another colour model is ignored, as browsers do."""
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    plain = image.convert("RGB") if alpha else image
    converted: Image.Image | None = None
    if icc:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = ImageCms.profileToProfile(plain, profile, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            converted = None
    result = converted or plain.convert("RGB")
    if alpha and alpha.getextrema() != (255, 255):
        result.putalpha(alpha)
    return result
