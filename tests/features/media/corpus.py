"""Pictures for the tests, all made in code: honest ones of every kind, and files that were made to hurt."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image, ImageCms

#: Corner colours of the honest picture, clockwise from the top left, as an upright viewer sees them.
RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 180, 30), (30, 30, 220), (220, 200, 30)
CORNERS = (RED, GREEN, BLUE, YELLOW)

#: Bytes that may appear in no stored file.
SECRET = b"N 31 13 49 E 121 28 25"

#: How a stored picture is turned (Pillow's names) so that applying the orientation shows it upright: Exif 3.0, 4.6.5.
_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def quarters(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """A picture of four coloured quarters: its corners tell whether it is upright and its colours are right."""
    image = Image.new("RGB", (width, height))
    left, top = width // 2, height // 2
    boxes = ((0, 0, left, top), (left, 0, width, top), (left, top, width, height), (0, top, left, height))
    for color, box in zip(CORNERS, boxes, strict=True):
        image.paste(color, box)
    return image.convert(mode)


def exif(orientation: int) -> bytes:
    """An Exif block with an orientation, a description and a place."""
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010E] = SECRET.decode()
    block.get_ifd(0x8825)[0x1D] = "2024:01:01"
    return block.tobytes()


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def heic(image: Image.Image, **options: object) -> bytes:
    from pillow_heif import from_pillow

    target = io.BytesIO()
    from_pillow(image).save(target, quality=90, enc_params={"preset": "ultrafast"}, **options)
    return target.getvalue()


def turned(kind: str, orientation: int) -> bytes:
    """The picture of four quarters, stored turned, with the orientation that turns it back."""
    image = quarters()
    if (step := _STORED[orientation]) is not None:
        image = image.transpose(step)
    return encode(image, kind, exif=exif(orientation), quality=95)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """A valid profile in which red and blue are exchanged: whoever ignores it shows the wrong colours."""
    profile = srgb_profile()
    return profile.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, color: int = 2, bits: int = 8, rows: bytes | None = None) -> bytes:
    """A PNG with this header, further chunks, and ``rows`` (packed by us) as its data."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(rows or b"", 9))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + data + png_chunk(b"IEND", b"")


@cache
def zeros_deflated(size: int) -> bytes:
    """At least ``size`` zero bytes as a zlib stream (about a thousandth of it), packed without holding them."""
    packer, zeros = zlib.compressobj(9), bytes(1_000_000)
    return b"".join([*(packer.compress(zeros) for _ in range(-(-size // len(zeros)))), packer.flush()])


def all_metadata(kind: str) -> bytes:
    """A picture with every sort of metadata that its format knows, the secret in each."""
    image, xmp = quarters(), b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"
    profile = srgb_profile() + SECRET
    if kind == "HEIC":
        return heic(image, exif=exif(1), xmp=xmp)
    if kind == "GIF":
        return encode(image, "GIF", comment=SECRET)
    data = encode(image, kind, exif=exif(1), xmp=xmp, icc_profile=profile)
    if kind == "JPEG":
        iptc = b"\xff\xed" + struct.pack(">H", 2 + 14 + len(SECRET)) + b"Photoshop 3.0\0" + SECRET
        comment = b"\xff\xfe" + struct.pack(">H", 2 + len(SECRET)) + SECRET
        data = data[:2] + iptc + comment + data[2:] + SECRET
    if kind == "PNG":
        data = data[:33] + png_chunk(b"tEXt", b"Comment\0" + SECRET) + data[33:] + SECRET
    if kind == "WEBP":
        data += SECRET
    return data


def samples() -> dict[str, bytes]:
    """One honest file of every accepted type."""
    image = quarters()
    return {
        "image/jpeg": encode(image, "JPEG", quality=95),
        "image/png": encode(image, "PNG"),
        "image/webp": encode(image, "WEBP", quality=95),
        "image/gif": encode(image, "GIF"),
        "image/avif": encode(image, "AVIF", quality=95),
        "image/heic": heic(image),
    }


def mutations(data: bytes, count: int, seed: int) -> list[bytes]:
    """``count`` broken copies: flipped, cut, doubled, overwritten with extreme numbers; the same for the same seed."""
    dice = random.Random(seed)
    results = []
    for _ in range(count):
        broken = bytearray(data)
        for _ in range(dice.choice((1, 1, 2, 4, 16))):
            at = dice.randrange(len(broken)) if dice.random() < 0.5 else dice.randrange(min(len(broken), 200))
            action = dice.randrange(5)
            if action == 0:
                broken[at] ^= 1 << dice.randrange(8)
            elif action == 1:
                broken[at : at + 4] = dice.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1"))
            elif action == 2:
                broken[at:] = broken[at : at + dice.randrange(1, len(broken))]
            elif action == 3:
                broken[at:at] = broken[max(0, at - dice.randrange(64)) : at]
            else:
                broken[at : at + 1] = bytes([dice.randrange(256)])
            if len(broken) < 2:
                broken = bytearray(data)
        results.append(bytes(broken))
    return results


def _many_scans(mode: str, size: tuple[int, int], more: int) -> bytes:
    """A progressive JPEG whose last scan comes ``more`` times again."""
    data = encode(Image.new(mode, size, 128 if mode == "L" else (9, 99, 200)), "JPEG", progressive=True, subsampling=0)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * more + b"\xff\xd9"


def _lying_png() -> bytes:
    return png(7_000, 7_000, rows=b"\0" + b"\x55" * 3_000)


def _gif(screen: tuple[int, int], image: tuple[int, int, int, int], blocks: bytes = b"") -> bytes:
    pixels = b"\x02\x02\x4c\x01\x00"  # One pixel of colour 1.
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + blocks + b"," + struct.pack("<HHHHB", *image, 0) + pixels + b";"


def _animated(kind: str, frames: int) -> bytes:
    many = [Image.new("RGB", (64, 64), (i * 7 % 256, i * 3 % 256, i // 256)) for i in range(frames)]
    return encode(many[0], kind, save_all=True, append_images=many[1:], duration=20, speed=10, method=0)


def _lying_isobmff(data: bytes) -> bytes:
    """The same coded picture in a container that declares 200 x 200."""
    broken, at = bytearray(data), data.find(b"ispe")
    while at >= 0:
        broken[at + 8 : at + 16] = struct.pack(">II", 200, 200)
        at = data.find(b"ispe", at + 1)
    return bytes(broken)


def _isobmff_with_items(count: int) -> bytes:
    entries = b"".join(struct.pack(">HHHII", i & 0xFFFF, 0, 1, 0, 1) for i in range(count))
    return _isobmff(b"iloc", b"\0\0\0\0\x44\0" + struct.pack(">H", min(count, 65_535)) + entries)


def _isobmff(name: bytes, body: bytes) -> bytes:
    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(content), kind) + content

    return box(b"ftyp", b"avif\0\0\0\0avifmif1") + box(b"meta", b"\0\0\0\0" + box(name, body))


def _frames_of(data: bytes, copies: int) -> bytes:
    """An animated WebP whose last frame comes ``copies`` times again."""
    at = data.rindex(b"ANMF")
    body = data[8:] + data[at:] * copies
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _noise(mode: str, size: tuple[int, int]) -> Image.Image:
    return Image.frombytes(mode, size, random.Random(7).randbytes(size[0] * size[1] * len(mode)))


def _flat(mode: str, size: tuple[int, int]) -> Image.Image:
    return Image.new(mode, size, (200, 90, 20, 130)[: len(mode)])


#: Files that hurt, by name; each is made when it is asked for.  All are at most 12 MB.
HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "random": lambda: random.Random(1).randbytes(100_000),
    "html": lambda: b"<!doctype html><script>alert(1)</script>",
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "gif that is a script": lambda: b"GIF89a/*" + b"\0" * 100 + b"*/=alert(1)//",
    "jpeg with a zip behind": lambda: encode(quarters(), "JPEG") + b"PK\3\4" + os.urandom(1_000_000),
    "jpeg of junk": lambda: b"\xff\xd8\xff\xe0\0\2" + b"\0" * 11_900_000,
    "jpeg of padding": lambda: b"\xff\xd8" + b"\xff" * 11_900_000,
    "jpeg of tiny segments": lambda: b"\xff\xd8" + b"\xff\xe0\0\2" * 2_900_000,
    "jpeg of photoshop blocks": lambda: (
        b"\xff\xd8" + (b"\xff\xed\xff\xff" + (b"Photoshop 3.0\0" + b"8BIM\0\0\0\0\0\0\0\0" * 6_000)[:65_533]) * 180
    ),
    "jpeg of exif": lambda: (
        b"\xff\xd8" + (b"\xff\xe1\xff\xff" + (b"Exif\0\0MM\0*\0\0\0\x08" + b"\xff" * 65_533)[:65_533]) * 180
    ),
    "jpeg 65,000 x 65,000": lambda: encode(quarters(), "JPEG").replace(b"\0\x30\0\x40", b"\xfd\xe8\xfd\xe8", 1),
    "jpeg lies about 49 MP": lambda: encode(quarters(), "JPEG").replace(b"\0\x30\0\x40", b"\x1b\x58\x1b\x58", 1),
    "jpeg progressive, 49 MP, no sub-sampling": lambda: _many_scans("RGB", (7_000, 7_000), 0),
    "jpeg of 60 scans, 12 MP": lambda: _many_scans("L", (4_000, 3_000), 54),
    "jpeg of 40,000 scans": lambda: _many_scans("L", (4_000, 3_000), 40_000),
    "jpeg cmyk progressive, 49 MP": lambda: encode(
        Image.new("CMYK", (7_000, 7_000), (9, 9, 9, 9)), "JPEG", progressive=True
    ),
    "jpeg 65,000 x 760": lambda: encode(_flat("RGB", (65_000, 760)), "JPEG"),
    "jpeg 1 x 65,000": lambda: encode(_flat("RGB", (1, 65_000)), "JPEG"),
    "png 2^31 x 2^31": lambda: png(2**31 - 1, 2**31 - 1),
    "png header says 49 MP, data ends": _lying_png,
    "png data never ends": lambda: (
        png(8, 8)[:33] + png_chunk(b"IDAT", zeros_deflated(600_000_000)) + png_chunk(b"IEND", b"")
    ),
    "png 49 MP of zeros": lambda: png(7_000, 7_000, rows=bytes(7_000 * 21_001)),
    "png 49 MP, 16 bits, alpha": lambda: (
        png(7_000, 7_000, color=6, bits=16)[:33]
        + png_chunk(b"IDAT", zeros_deflated(7_000 * 56_001))
        + png_chunk(b"IEND", b"")
    ),
    "png 49 MP, 16 bits, grey": lambda: png(7_000, 7_000, color=0, bits=16, rows=bytes(7_000 * 14_001)),
    "png 49 MP, palette with transparency": lambda: png(
        7_000, 7_000, png_chunk(b"PLTE", b"\1\2\3"), png_chunk(b"tRNS", b"\x80"), color=3, rows=bytes(7_000 * 7_001)
    ),
    "png 1 x 49,000,000": lambda: png(1, 49_000_000, color=0, rows=bytes(98_000_000)),
    "png zTXt bombs": lambda: png(
        8, 8, *[png_chunk(b"zTXt", b"a\0\0" + zeros_deflated(600_000_000))] * 10, rows=bytes(8 * 25)
    ),
    "png iTXt bomb": lambda: png(
        8, 8, png_chunk(b"iTXt", b"a\0\1\0\0\0" + zeros_deflated(600_000_000)), rows=bytes(8 * 25)
    ),
    "png iCCP bomb": lambda: png(8, 8, png_chunk(b"iCCP", b"a\0\0" + zeros_deflated(600_000_000)), rows=bytes(8 * 25)),
    "png of empty chunks": lambda: png(8, 8, png_chunk(b"IDAT", b"") * 900_000, rows=bytes(8 * 25)),
    "gif screen 65,535 x 65,535": lambda: _gif((65_535, 65_535), (0, 0, 1, 1)),
    "gif image stands out": lambda: _gif((1, 1), (65_000, 65_000, 1, 1)),
    "gif 49 MP, one pixel": lambda: _gif((7_000, 7_000), (0, 0, 7_000, 7_000)),
    "gif of comments": lambda: _gif((1, 1), (0, 0, 1, 1), b"!\xfe" + b"\1a" * 5_900_000 + b"\0"),
    "gif of tiny blocks": lambda: _gif((1, 1), (0, 0, 1, 1), b"!\xfe\1a\0" * 2_300_000),
    "gif of 5,000 frames": lambda: _animated("GIF", 5_000),
    "webp canvas 16,384 x 16,384": lambda: b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0VP8 \0\0\0\0",
    "webp 17 MP": lambda: encode(_flat("RGB", (4_100, 4_100)), "WEBP", method=0),
    "webp 17 MP, alpha": lambda: encode(_flat("RGBA", (4_100, 4_100)), "WEBP", method=0),
    "webp 30 MP": lambda: encode(_flat("RGB", (6_000, 5_000)), "WEBP", method=0),
    "webp of 15,000 frames": lambda: _frames_of(_animated("WEBP", 3), 15_000),
    "webp of 100,000 frames": lambda: _frames_of(_animated("WEBP", 3), 100_000),
    "webp lossless noise": lambda: encode(_noise("RGBA", (1_700, 1_700)), "WEBP", lossless=True, method=0, quality=0),
    "avif 24 MP": lambda: encode(_flat("RGB", (6_000, 4_000)), "AVIF", speed=10),
    "avif 19 MP, alpha": lambda: encode(_flat("RGBA", (5_000, 3_900)), "AVIF", speed=10, subsampling="4:4:4"),
    "avif 64 MP": lambda: encode(_flat("RGB", (8_000, 8_000)), "AVIF", speed=10),
    "avif lies about 64 MP": lambda: _lying_isobmff(encode(_flat("RGB", (8_000, 8_000)), "AVIF", speed=10)),
    "avif of 2,000 frames": lambda: _animated("AVIF", 2_000),
    "avif of 65,535 items": lambda: _isobmff_with_items(65_535),
    "avif of 800,000 items": lambda: _isobmff_with_items(800_000),
    "avif of empty boxes": lambda: _isobmff(b"free", b"") + b"\0\0\0\x08free" * 1_400_000,
    "heic 48 MP": lambda: heic(_flat("RGB", (8_000, 6_000))),
    "heic 25 MP, alpha": lambda: heic(_flat("RGBA", (5_000, 5_000))),
    "heic lies about 16 MP": lambda: _lying_isobmff(heic(_flat("RGB", (4_000, 4_000)))),
    "noise with alpha": lambda: encode(_noise("RGBA", (1_650, 1_650)), "PNG", compress_level=0),
}
