"""Reads the boxes of AVIF and HEIC files: declared size, turn, cost; and takes their image sequences away.

A file of a few kilobytes may hold tables with millions of entries, or an AV1 picture far larger than the size that the
container declares, which the decoder would unpack whole and then scale down.  Both are found here without decoding.

Sources: ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12 (image items), AV1 specification 5.5 (sequence header), AVIF 1.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from .images_types import Container, ImageRefused, MediaType

MAX_BOXES = 1_000
#: Entries of an item table; a 48-megapixel photo of 512 x 512 tiles has 250.
MAX_ITEMS = 1_000
#: Bytes of one item table; decoders search these tables linearly for every entry.
MAX_TABLE = 65_536
#: Coded pixels a frame header could ask for beyond the sequence header (AV1 frame_size_override_flag).
MAX_OVERRIDE = 64_000_000
#: Decoding memory per pixel, measured: planes, the interleaved copy and, for AVIF, the copy that the library keeps.
AVIF_COST, AVIF_DEEP_COST, HEIC_COST, HEIC_DEEP_COST, HEIC_ALPHA_COST = 16, 22, 6, 9, 4

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
#: Quarter turns clockwise (index) and mirror axis as Exif orientations; irot turns anticlockwise, imir comes after it.
_TURNED = {0: 1, 1: 8, 2: 3, 3: 6}


@dataclass
class _Items:
    """What the ``meta`` box says: properties in order, which of them each item has, where each item's bytes are."""

    primary: int = 0
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    associations: dict[int, list[int]] = field(default_factory=dict)
    extents: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    kinds: dict[int, bytes] = field(default_factory=dict)
    idat: bytes = b""

    def of(self, item: int) -> dict[bytes, bytes]:
        numbers = self.associations.get(item, [])
        return dict(self.properties[n - 1] for n in numbers if 1 <= n <= len(self.properties))


def brand_type(head: bytes) -> MediaType | None:
    """AVIF or HEIC by the brands of the ``ftyp`` box at the start of ``head``; None for anything else."""
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), len(head), 256)
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))]
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return MediaType.AVIF
        if brand in _HEIC_BRANDS:
            return MediaType.HEIC
    return None


def read_isobmff(data: bytes, kind: MediaType) -> Container:
    """The primary item of an AVIF or HEIC file; sequences lose their track, so that its still picture is shown."""
    rebuilt = bytearray(data)
    items: _Items | None = None
    for box, start, body, end in _boxes(data, 0, len(data)):
        if box == b"ftyp":
            brand = b"avif" if kind is MediaType.AVIF else b"heic"
            rebuilt[body : body + 4] = brand
            rebuilt[body + 8 : end] = brand * ((end - body - 8) // 4) + rebuilt[end - (end - body - 8) % 4 : end]
        elif box == b"moov":
            rebuilt[start + 4 : start + 8] = b"free"
        elif box == b"meta" and items is None:
            items = _read_meta(data, body + 4, end)
    if items is None:
        raise ImageRefused("broken")
    properties = items.of(items.primary)
    size = properties.get(b"ispe", b"")
    if len(size) < 12:
        raise ImageRefused("broken")
    width, height = struct.unpack_from(">II", size, 4)
    cost = width * height * _cost_per_pixel(items, kind)
    if kind is MediaType.AVIF:
        _check_av1_sizes(data, items, width * height)
    else:  # The AVIF decoder does not crop.
        width, height = _cropped(width, height, properties.get(b"clap", b""))
    quarter = properties.get(b"irot", b"\0")[:1] or b"\0"
    return Container(kind, width, height, _TURNED[quarter[0] & 3], None, [bytes(rebuilt)], cost)


def _cropped(width: int, height: int, clap: bytes) -> tuple[int, int]:
    """The size that a clean aperture (``clap``: width and height as fractions, then offsets) leaves of a picture."""
    if len(clap) < 16:
        return width, height
    wide, wide_divisor, high, high_divisor = struct.unpack_from(">IIII", clap)
    if not wide_divisor or not high_divisor:
        raise ImageRefused("broken")
    return min(width, wide // wide_divisor), min(height, high // high_divisor)


def _boxes(data: bytes, position: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """The boxes between two places as (type, start, start of the body, end)."""
    for _ in range(MAX_BOXES):
        if position + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, position)
        body = position + 8
        if size == 1 and position + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        stop = end if size == 0 else position + size
        if stop < body or stop > end:
            raise ImageRefused("broken")
        yield kind, position, body, stop
        position = stop
    raise ImageRefused("broken")


def _read_meta(data: bytes, start: int, end: int) -> _Items:
    items = _Items()
    try:
        for kind, _, body, stop in _boxes(data, start, end):
            if kind in (b"iinf", b"iloc", b"iref") and stop - body > MAX_TABLE:
                raise ImageRefused("broken")
            if kind == b"pitm":
                items.primary = int.from_bytes(data[body + 4 : body + (8 if data[body] else 6)], "big")
            elif kind == b"iinf":
                _read_item_types(data, body, stop, items)
            elif kind == b"iloc":
                _read_locations(data[body:stop], items)
            elif kind == b"iprp":
                _read_properties(data, body, stop, items)
            elif kind == b"idat":
                items.idat = data[body:stop]
    except (struct.error, IndexError) as error:
        raise ImageRefused("broken") from error
    return items


def _read_item_types(data: bytes, start: int, end: int, items: _Items) -> None:
    for kind, _, body, _ in _boxes(data, start + (8 if data[start] else 6), end):
        if kind == b"infe" and data[body] >= 2:
            wide = 4 if data[body] == 3 else 2
            item = int.from_bytes(data[body + 4 : body + 4 + wide], "big")
            items.kinds[item] = data[body + 6 + wide : body + 10 + wide]


def _read_properties(data: bytes, start: int, end: int, items: _Items) -> None:
    for kind, _, body, stop in _boxes(data, start, end):
        if kind == b"ipco":
            items.properties += [(name, data[at:to][:256]) for name, _, at, to in _boxes(data, body, stop)]
        elif kind == b"ipma":
            if stop - body > MAX_TABLE:
                raise ImageRefused("broken")
            _read_associations(data[body:stop], items)


def _read_associations(table: bytes, items: _Items) -> None:
    version, flags, count = table[0], table[3], int.from_bytes(table[4:8], "big")
    wide, step, position = (4 if version else 2), (2 if flags & 1 else 1), 8
    _check_count(count)
    for _ in range(count):
        item, entries = int.from_bytes(table[position : position + wide], "big"), table[position + wide]
        position += wide + 1
        numbers = [
            int.from_bytes(table[at : at + step], "big") & (0x7FFF if step == 2 else 0x7F)
            for at in range(position, position + entries * step, step)
        ]
        items.associations[item] = numbers
        position += entries * step


def _read_locations(table: bytes, items: _Items) -> None:
    version = table[0]
    offset_size, length_size = table[4] >> 4, table[4] & 15
    base_size, index_size = table[5] >> 4, (table[5] & 15 if version else 0)
    wide, position = (4 if version == 2 else 2), 6

    def number(size: int) -> int:
        nonlocal position
        if position + size > len(table):
            raise ImageRefused("broken")
        position += size
        return int.from_bytes(table[position - size : position], "big")

    count = number(wide)
    _check_count(count)
    for _ in range(count):
        item = number(wide)
        method = number(2) & 15 if version else 0
        number(2)
        base = number(base_size)
        extents = number(2)
        _check_count(extents)
        items.extents[item] = []
        for _ in range(extents):
            number(index_size)
            start = base + number(offset_size)
            items.extents[item].append((method, start, number(length_size)))


def _check_count(count: int) -> None:
    if count > MAX_ITEMS:
        raise ImageRefused("broken")


def _cost_per_pixel(items: _Items, kind: MediaType) -> int:
    if kind is MediaType.AVIF:
        deep = any(name == b"av1C" and len(body) > 2 and body[2] & 0x40 for name, body in items.properties)
        return AVIF_DEEP_COST if deep else AVIF_COST
    deep = any(name == b"hvcC" and len(body) > 17 and body[17] & 7 for name, body in items.properties)
    alpha = any(name == b"auxC" and (b"alpha" in body or b"auxid:1" in body) for name, body in items.properties)
    return (HEIC_DEEP_COST if deep else HEIC_COST) + (HEIC_ALPHA_COST if alpha else 0)


def _check_av1_sizes(data: bytes, items: _Items, declared: int) -> None:
    """Refuse coded pictures that are larger than the container says; alpha and previews count, all together."""
    total = 0
    for item, kind in items.kinds.items():
        if kind != b"av01":
            continue
        stream = b"".join(
            (items.idat if method == 1 else data)[start : (start + length) if length else None]
            for method, start, length in items.extents.get(item, [])
        )
        total += max((_sequence_pixels(body) for body in _sequence_headers(stream)), default=0)
    if total > 3 * declared + 1_000_000:
        raise ImageRefused("broken")


def _sequence_headers(stream: bytes) -> Iterator[bytes]:
    """Payloads of the sequence header OBUs (type 1) in a low-overhead AV1 stream."""
    position = 0
    for _ in range(MAX_BOXES):
        if position >= len(stream):
            return
        header = stream[position]
        position += 2 if header & 4 else 1
        length = len(stream) - position
        if header & 2:
            length, shift = 0, 0
            while position < len(stream) and shift <= 49:
                length |= (stream[position] & 0x7F) << shift
                shift += 7
                position += 1
                if not stream[position - 1] & 0x80:
                    break
        if header >> 3 & 15 == 1:
            yield stream[position : position + min(length, 256)]
        position += length
    raise ImageRefused("broken")


class _Bits:
    """Reads unsigned numbers bit by bit, the most significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def __call__(self, size: int) -> int:
        self._left -= size
        if self._left < 0:
            raise ImageRefused("broken")
        return self._value >> self._left & ((1 << size) - 1)


def _sequence_pixels(header: bytes) -> int:
    """The most pixels that a frame under this sequence header may have (AV1 5.5.1, up to the frame size)."""
    bits = _Bits(header)
    bits(4)  # seq_profile, still_picture
    reduced = bits(1)
    if reduced:
        bits(5)
    else:
        _skip_operating_points(bits)
    wide, high = bits(4) + 1, bits(4) + 1
    pixels = (bits(wide) + 1) * (bits(high) + 1)
    if not reduced and 1 << (wide + high) > max(MAX_OVERRIDE, 4 * pixels):
        raise ImageRefused("broken")
    return pixels


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits(1):  # timing_info_present_flag
        bits(64)
        if bits(1):  # equal_picture_interval: a variable-length number follows
            zeros = 0
            while zeros < 32 and not bits(1):
                zeros += 1
            bits(zeros if zeros < 32 else 0)
        if bits(1):  # decoder_model_info_present_flag
            delay_bits = bits(5) + 1
            bits(42)
    display_delay = bits(1)
    for _ in range(bits(5) + 1):
        bits(12)
        if bits(5) > 7:
            bits(1)
        if delay_bits and bits(1):
            bits(2 * delay_bits + 1)
        if display_delay and bits(1):
            bits(4)
