"""Reads JPEG, PNG, GIF and WebP files just far enough to rebuild each one without anything but its first picture.

The decoder never sees a text chunk, a colour profile, a preview, a second frame or what follows the picture, so none of
them can be a bomb.  What is walked over is counted: a loop in Python over millions of tiny pieces is a bomb too.

Sources: JPEG ITU-T T.81 annex B, ICC.1:2022 annex B.4; PNG third edition (W3C); GIF89a; WebP RFC 9649; Exif 3.0 (CIPA).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from .images_types import Bytes, Container, ImageRefused, MediaType

#: Colour profiles above this size, as stored or unpacked, are ignored; those of printing presses have 2 MB.
MAX_PROFILE = 4_000_000
#: Pieces (segments, chunks) of one file; the most talkative real files have some thousands.
MAX_PIECES = 20_000
#: GIF data comes in pieces of at most 255 bytes.
MAX_SUB_BLOCKS = 200_000
#: Bytes between two JPEG segments that a decoder may skip one by one.
MAX_JUNK = 4_096
#: Scans of a progressive JPEG (encoders write 10 to 20), and the samples that all of them may visit: a scan of a few
#: bytes makes the decoder walk over the whole picture.
MAX_SCANS = 64
MAX_SCANNED_SAMPLES = 1_600_000_000
#: Decoding memory per pixel as measured: file's buffers, canvas and the copy that the imaging library keeps.
#: It also keeps a pointer for each row, which only PNG can have millions of.
PNG_ROW_COST, PNG_COST, GIF_COST, WEBP_COST = 8, 5, 3, 18

_EXIF = b"Exif\0\0"
_ICC = b"ICC_PROFILE\0"
# No repetition in these: on a file of 0xFF alone, "\xff+" would take quadratic time.
_MARKER = re.compile(rb"\xff([\x01-\xfe])")
_AFTER_SCAN = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def exif_orientation(exif: bytes) -> int:
    """The orientation (1-8) of the first directory of an Exif block, with or without its prefix; 1 when unknown."""
    tiff = exif.removeprefix(_EXIF)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 10:
        return 1
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    if start + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    for position in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, position)
        if tag == 0x0112:
            return value if kind == 3 and 1 <= value <= 8 else 1
    return 1


def read_jpeg(data: bytes) -> Container:
    """Keep frame, tables, scans and the two markers that tell the colour space (JFIF, Adobe)."""
    frame: bytes | None = None
    exif, profile, scans, first_scan = b"", {}, 0, 0  # type: bytes, dict[int, bytes], int, int
    parts: list[Bytes] = [b"\xff\xd8"]
    for marker, body, piece in _jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if frame is not None:
                raise ImageRefused("broken")
            if (
                marker > 0xC2 or body[:1] != b"\x08"
            ):  # Lossless, hierarchical, arithmetic or 12 bits: no browser either.
                raise ImageRefused("unsupported_type")
            frame = body
            progressive = marker == 0xC2
        elif marker == 0xDA:
            scans += 1
            first_scan = first_scan or (body[0] if body else 0)
        elif marker == 0xE1 and body.startswith(_EXIF):
            exif = exif or body
            continue
        elif marker == 0xE2 and body.startswith(_ICC) and len(body) > 14:
            profile[body[12]] = body[14:]
            continue
        elif not (
            marker in (0xC4, 0xDB, 0xDD, 0xD9)
            or (marker == 0xE0 and body.startswith(b"JFIF\0"))
            or (marker == 0xEE and body.startswith(b"Adobe"))
        ):
            continue
        parts.append(piece)
    # Without its end marker the file was cut: the decoder would fill what is missing with grey.
    if frame is None or len(frame) < 9 or not scans or bytes(parts[-1]) != b"\xff\xd9":
        raise ImageRefused("broken")
    height, width, components = struct.unpack_from(">HHB", frame, 1)
    samples = _jpeg_samples(frame, width * height, components)
    # The decoder keeps all coefficients (two bytes each) unless one scan holds the whole picture.
    whole = not progressive and scans == 1 and first_scan == components
    if scans > MAX_SCANS or (scans > 1 and scans * samples > MAX_SCANNED_SAMPLES):
        raise ImageRefused("broken")
    icc = b"".join(profile[number] for number in sorted(profile))
    return Container(
        MediaType.JPEG, width, height, exif_orientation(exif), _profile(icc), parts, 0 if whole else 2 * samples
    )


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes, memoryview]]:
    """The segments, the end marker being the last, as (marker, payload, whole piece); a scan's includes its data."""
    view, position, junk = memoryview(data), 2, 0
    for _ in range(MAX_PIECES):
        found = _MARKER.search(data, position)
        if found is None:
            return
        junk += found.end() - position - 2
        marker, start = found[1][0], found.end()
        if junk > MAX_JUNK:
            raise ImageRefused("broken")
        position = start
        if marker == 0xD9:
            yield marker, b"", view[start - 2 : start]
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        if start + 2 > len(data):
            return
        end = start + int.from_bytes(data[start : start + 2], "big")
        if end < start + 2 or end > len(data):
            raise ImageRefused("broken")
        body, position = data[start + 2 : end], end
        if marker == 0xDA:
            after = _AFTER_SCAN.search(data, end)
            position = after.start() if after else len(data)
        yield marker, body, view[start - 2 : position]
    raise ImageRefused("broken")


def _jpeg_samples(frame: bytes, pixels: int, components: int) -> int:
    """Samples of all components together, sub-sampling respected."""
    factors = [(frame[7 + 3 * i] >> 4, frame[7 + 3 * i] & 15) for i in range(components) if 7 + 3 * i < len(frame)]
    if len(factors) != components or not factors or any(not (1 <= h <= 4 and 1 <= v <= 4) for h, v in factors):
        raise ImageRefused("broken")
    largest = max(h for h, _ in factors) * max(v for _, v in factors)
    return pixels * sum(h * v for h, v in factors) // largest


def read_png(data: bytes) -> Container:
    """Keep header, palette, transparency and the image data, the latter as one chunk; animations end at the first."""
    view, position = memoryview(data), 8
    kept: dict[bytes, memoryview] = {}
    pixels: list[memoryview] = []
    exif, icc = b"", b""
    for _ in range(MAX_PIECES):
        if position + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data) or kind == b"IEND":
            break
        body = view[position + 8 : end - 4]
        if kind == b"IDAT":
            pixels.append(body)
        elif kind in (b"IHDR", b"PLTE", b"tRNS"):
            kept.setdefault(kind, view[position:end])
        elif kind == b"eXIf":
            exif = bytes(body)
        elif kind == b"iCCP":
            icc = _unpacked_profile(bytes(body))
        position = end
    else:
        raise ImageRefused("broken")
    header = kept.get(b"IHDR")
    if header is None or len(header) != 25 or data[12:16] != b"IHDR" or not pixels:
        raise ImageRefused("broken")
    width, height = struct.unpack_from(">II", header, 8)
    parts: list[Bytes] = [_PNG_SIGNATURE, *(kept[kind] for kind in (b"IHDR", b"PLTE", b"tRNS") if kind in kept)]
    parts += [*_png_chunk(b"IDAT", pixels), *_png_chunk(b"IEND", [])]
    return Container(
        MediaType.PNG,
        width,
        height,
        exif_orientation(exif),
        _profile(icc),
        parts,
        height * (width * PNG_COST + PNG_ROW_COST),
    )


def _png_chunk(kind: bytes, bodies: list[memoryview]) -> list[Bytes]:
    checksum = zlib.crc32(kind)
    for body in bodies:
        checksum = zlib.crc32(body, checksum)
    return [struct.pack(">I4s", sum(map(len, bodies)), kind), *bodies, struct.pack(">I", checksum)]


def _unpacked_profile(body: bytes) -> bytes:
    name, _, packed = body.partition(b"\0")
    if len(name) > 79 or packed[:1] != b"\0":
        return b""
    try:
        return zlib.decompressobj().decompress(packed[1:], MAX_PROFILE + 1)
    except zlib.error:
        return b""


def read_gif(data: bytes) -> Container:
    """Keep the screen, its palette and the first image with its control block."""
    view = memoryview(data)
    if len(data) < 14:
        raise ImageRefused("broken")
    position = 13 + _palette_bytes(data[10])
    parts: list[Bytes] = [view[:position]]
    width, height = struct.unpack_from("<HH", data, 6)
    budget = MAX_SUB_BLOCKS
    while budget > 0 and position < len(data):
        start, introducer = position, data[position]
        if introducer == 0x21:
            position, budget = _skip_sub_blocks(data, start + 2, budget - 1)
            if data[start + 1 : start + 2] == b"\xf9":
                parts[1:] = [view[start:position]]
        elif introducer == 0x2C and start + 11 <= len(data):
            left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, start + 1)
            position, _ = _skip_sub_blocks(data, start + 11 + _palette_bytes(flags), budget)
            parts += [view[start:position], b";"]
            # The decoder enlarges the screen when the image stands out of it.
            width, height = max(width, left + wide), max(height, top + high)
            return Container(MediaType.GIF, width, height, 1, None, parts, width * height * GIF_COST)
        else:
            break
    raise ImageRefused("broken")


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_sub_blocks(data: bytes, position: int, budget: int) -> tuple[int, int]:
    """The place after the block terminator, and what is left of the budget of sub-blocks."""
    while budget > 0 and position < len(data):
        length = data[position]
        position += 1 + length
        budget -= 1
        if not length:
            return position, budget
    if budget <= 0:
        raise ImageRefused("broken")
    return min(position, len(data)), budget


def read_webp(data: bytes) -> Container:
    """Keep the picture with its alpha; of an animation the canvas and its first frame."""
    kept: dict[bytes, Bytes] = {}
    exif, icc = b"", b""
    for kind, body in _riff_chunks(data):
        if kind in (b"VP8X", b"ALPH", b"VP8 ", b"VP8L", b"ANIM", b"ANMF"):
            kept.setdefault(kind, body)
        elif kind == b"EXIF":
            exif = bytes(body)
        elif kind == b"ICCP":
            icc = bytes(body)
    animated = b"ANMF" in kept
    names = (b"VP8X", b"ANIM", b"ANMF") if animated else (b"VP8X", b"ALPH", b"VP8 ", b"VP8L")
    if b"VP8X" in kept:
        header = bytearray(kept[b"VP8X"])
        if len(header) < 10:
            raise ImageRefused("broken")
        header[0] &= 0x12 if animated else 0x10  # Only the flags for what is still there: animation, alpha.
        kept[b"VP8X"] = bytes(header)
    width, height = _webp_size(kept)
    body_parts: list[Bytes] = [b"WEBP"]
    for name in names:
        if name in kept:
            piece = kept[name]
            body_parts += [struct.pack("<4sI", name, len(piece)), piece, b"\0" * (len(piece) & 1)]
    parts = [struct.pack("<4sI", b"RIFF", sum(map(len, body_parts))), *body_parts]
    return Container(
        MediaType.WEBP, width, height, exif_orientation(exif), _profile(icc), parts, width * height * WEBP_COST
    )


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    view, position = memoryview(data), 12
    for _ in range(MAX_PIECES):
        if position + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, position)
        yield kind, view[position + 8 : position + 8 + length]
        position += 8 + length + (length & 1)
    raise ImageRefused("broken")


def _webp_size(chunks: dict[bytes, Bytes]) -> tuple[int, int]:
    if header := chunks.get(b"VP8X"):
        return 1 + int.from_bytes(header[4:7], "little"), 1 + int.from_bytes(header[7:10], "little")
    lossy, lossless = chunks.get(b"VP8 ", b""), chunks.get(b"VP8L", b"")
    if len(lossy) >= 10 and bytes(lossy[3:6]) == b"\x9d\x01\x2a":
        wide, high = struct.unpack_from("<HH", lossy, 6)
        return wide & 0x3FFF, high & 0x3FFF
    if len(lossless) >= 5 and lossless[0] == 0x2F:
        bits = int.from_bytes(lossless[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise ImageRefused("broken")


def _profile(icc: bytes) -> bytes | None:
    return icc if 128 < len(icc) <= MAX_PROFILE else None
