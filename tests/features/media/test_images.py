"""The picture pipeline with honest files: types, colours, orientations, sizes, and what is left in the stored files."""

from __future__ import annotations

import io
import struct
import subprocess
import sys

import blurhash
import pytest
from PIL import Image

from mealshare.features.media.images import ImageLimits, ImageRefused, MediaType, make_variants, probe, sniff
from tests.features.media import corpus

ALLOWED_CHUNKS = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH"}
SAMPLES = corpus.samples()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["WEBP"])
    image.load()
    return image


def riff_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    assert data[:4] == b"RIFF"
    assert data[8:12] == b"WEBP"
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    chunks, position = [], 12
    while position < len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        chunks.append((kind, data[position + 8 : position + 8 + length]))
        position += 8 + length + (length & 1)
    return chunks


def assert_upright(image: Image.Image, tolerance: int = 40) -> None:
    width, height = image.size
    places = ((4, 4), (width - 5, 4), (width - 5, height - 5), (4, height - 5))
    for place, color in zip(places, corpus.CORNERS, strict=True):
        found = image.convert("RGB").getpixel(place)
        assert max(abs(a - b) for a, b in zip(found, color, strict=True)) <= tolerance, (place, found, color)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_accepted_type_becomes_webp(name: str) -> None:
    data = SAMPLES[name]
    assert sniff(data[:256]) == MediaType(name)
    found = probe(data)
    assert (found.type, found.width, found.height) == (MediaType(name), 64, 48)
    rendition = make_variants(data)
    assert (rendition.width, rendition.height) == (64, 48)
    for variant in rendition.variants.values():
        assert (variant.width, variant.height) == (64, 48) == opened(variant.data).size
        assert_upright(opened(variant.data))


@pytest.mark.parametrize(
    "head", [b"", b"BM", b"%PDF-1.7", b"II*\0", b"<svg", b"RIFF\0\0\0\0WAVE", b"\0\0\0\x18ftypmp42"]
)
def test_other_types_are_not_recognised(head: bytes) -> None:
    assert sniff(head.ljust(64, b"\0")) is None
    with pytest.raises(ImageRefused) as refused:
        probe(head.ljust(64, b"\0"))
    assert refused.value.code == "unsupported_type"


def test_the_type_is_told_by_the_first_coding_brand() -> None:
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf") is MediaType.HEIC
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") is MediaType.AVIF
    assert sniff(b"\0\0\0\x14ftypmif1\0\0\0\0mif1heic") is None  # heic stands behind the box.


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_every_orientation_is_made_upright(kind: str, orientation: int) -> None:
    data = corpus.turned(kind, orientation)
    found = probe(data)
    assert (found.width, found.height) == (64, 48)
    rendition = make_variants(data, sizes=(32, 64))
    assert (rendition.width, rendition.height) == (64, 48)
    assert (rendition.variants[32].width, rendition.variants[32].height) == (32, 24)
    assert_upright(opened(rendition.variants[64].data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_made_upright(orientation: int) -> None:
    data = corpus.heic(corpus.quarters(), exif=corpus.exif(orientation))
    plain = corpus.quarters()
    step = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}.get(orientation)
    expected = plain if step is None else plain.transpose(Image.Transpose(step))
    found = probe(data)
    assert (found.width, found.height) == expected.size
    shown = opened(make_variants(data).variants[1600].data).convert("RGB")
    assert shown.size == expected.size
    for place in ((4, 4), (shown.width - 5, 4)):
        pair = zip(shown.getpixel(place), expected.getpixel(place), strict=True)
        assert max(abs(a - b) for a, b in pair) <= 40


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_modes(mode: str) -> None:
    image = Image.new("L", (40, 30), 128)
    image.paste(250, (20, 0, 40, 30))
    image = (
        Image.frombytes("I;16", image.size, b"".join(bytes((0, v)) for v in image.tobytes()))
        if mode == "I;16"
        else (image.convert(mode))
    )
    shown = opened(make_variants(corpus.encode(image, "PNG")).variants[400].data).convert("L")
    assert abs(shown.getpixel((35, 15)) - (255 if mode == "1" else 250)) <= 12
    if mode != "1":
        assert abs(shown.getpixel((5, 15)) - 128) <= 12


PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


@pytest.mark.parametrize(("color", "bits"), [(color, bits) for color, depths in PNG_DEPTHS.items() for bits in depths])
def test_png_of_every_depth(color: int, bits: int) -> None:
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    row = b"\0" + b"\xff" * ((8 * samples * bits + 7) // 8)
    palette = [corpus.png_chunk(b"PLTE", b"\xff" * (3 << bits))] if color == 3 else []
    rendition = make_variants(corpus.png(8, 8, *palette, color=color, bits=bits, rows=row * 8))
    assert opened(rendition.variants[400].data).convert("RGB").getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["PNG palette", "GIF", "WEBP", "PNG", "AVIF", "HEIC"])
def test_transparency_is_kept(kind: str) -> None:
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 255))
    image.paste((0, 255, 0, 0), (20, 0, 40, 40))
    if kind == "HEIC":
        data = corpus.heic(image)
    elif kind == "PNG palette":
        data = corpus.encode(image.quantize(4), "PNG")
    else:
        data = corpus.encode(image, kind)
    shown = opened(make_variants(data).variants[400].data)
    assert shown.mode == "RGBA"
    assert shown.getpixel((5, 20))[3] >= 250
    assert shown.getpixel((35, 20))[3] <= 5


def test_hidden_colours_do_not_bleed_when_a_picture_is_made_smaller() -> None:
    image = Image.new("RGBA", (4_000, 40), (255, 0, 0, 255))
    for x in range(0, 4_000, 2):
        image.paste((0, 255, 0, 0), (x, 0, x + 1, 40))
    shown = opened(make_variants(corpus.encode(image, "PNG"), sizes=(400,)).variants[400].data)
    red, green, _, alpha = shown.getpixel((200, 2))
    assert red > 235
    assert green < 20
    assert 100 < alpha < 155


def test_an_alpha_channel_that_hides_nothing_is_dropped() -> None:
    assert opened(make_variants(corpus.encode(corpus.quarters(mode="RGBA"), "PNG")).variants[400].data).mode == "RGB"


def test_cmyk_jpeg() -> None:
    assert_upright(
        opened(make_variants(corpus.encode(corpus.quarters(mode="CMYK"), "JPEG", quality=95)).variants[400].data)
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_the_colour_profile_is_applied(kind: str) -> None:
    image = Image.new("RGB", (64, 64), (220, 20, 20))
    data = corpus.encode(image, kind, icc_profile=corpus.swapped_profile(), quality=95)
    red, _, blue = opened(make_variants(data).variants[400].data).getpixel((30, 30))
    assert blue > 200
    assert red < 60


@pytest.mark.parametrize("profile", [b"junk" * 100, b"\0" * 5_000_000])
def test_an_unusable_profile_is_ignored(profile: bytes) -> None:
    data = corpus.encode(corpus.quarters(), "PNG", icc_profile=profile)
    assert_upright(opened(make_variants(data).variants[400].data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "HEIC"])
def test_no_metadata_is_stored(kind: str) -> None:
    data = corpus.all_metadata(kind)
    assert corpus.SECRET in data
    for variant in make_variants(data).variants.values():
        assert {name for name, _ in riff_chunks(variant.data)} <= ALLOWED_CHUNKS
        for trace in (corpus.SECRET, b"Exif", b"xmp", b"ICC", b"http", b"Adobe", b"Photoshop", b"2024:"):
            assert trace not in variant.data
        shown = opened(variant.data)
        assert not shown.getexif()
        assert not {"exif", "xmp", "icc_profile"} & set(shown.info)


def test_transparent_variants_have_no_metadata_either() -> None:
    image = corpus.quarters(mode="RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = corpus.encode(image, "PNG", exif=corpus.exif(6), icc_profile=corpus.srgb_profile())
    names = [name for name, _ in riff_chunks(make_variants(data).variants[400].data)]
    assert names == [b"VP8X", b"ALPH", b"VP8 "]
    header = dict(riff_chunks(make_variants(data).variants[400].data))[b"VP8X"]
    assert header[0] == 0x10


@pytest.mark.parametrize(
    ("size", "small", "large"),
    [
        ((3_000, 2_000), (400, 267), (1_600, 1_067)),
        ((2_000, 3_000), (267, 400), (1_067, 1_600)),
        ((500, 400), (400, 320), (500, 400)),
        ((300, 200), (300, 200), (300, 200)),
        ((5_000, 1), (400, 1), (1_600, 1)),
        ((1, 5_000), (1, 400), (1, 1_600)),
        ((1, 1), (1, 1), (1, 1)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_sizes(size: tuple[int, int], small: tuple[int, int], large: tuple[int, int], kind: str) -> None:
    rendition = make_variants(corpus.encode(Image.new("RGB", size, (10, 200, 90)), kind))
    assert (rendition.width, rendition.height) == size
    for edge, expected in ((400, small), (1_600, large)):
        variant = rendition.variants[edge]
        assert (variant.width, variant.height) == expected == opened(variant.data).size
        found = opened(variant.data).getpixel((0, 0))
        assert max(abs(a - b) for a, b in zip(found, (10, 200, 90), strict=True)) <= 8


@pytest.mark.parametrize("kind", ["PNG", "GIF", "HEIC"])
def test_a_large_picture_is_made_smaller_without_seams(kind: str) -> None:
    image = corpus.quarters(3_501, 1_701)
    data = corpus.heic(image) if kind == "HEIC" else corpus.encode(image, kind)
    shown = opened(make_variants(data, sizes=(400,)).variants[400].data).convert("RGB")
    assert_upright(shown)
    reference = image.resize(shown.size, Image.Resampling.LANCZOS)
    inside = [(x, y) for x in (20, 100, 180, 220, 300, 380) for y in (10, 50, 90, 110, 150, 185)]
    for place in inside:
        pair = zip(shown.getpixel(place), reference.getpixel(place), strict=True)
        assert max(abs(a - b) for a, b in pair) <= 40, place


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "AVIF", "PNG"])
def test_the_first_frame_of_an_animation_is_shown(kind: str) -> None:
    later = Image.new("RGB", (64, 48), (0, 0, 0))
    data = corpus.encode(corpus.quarters(), kind, save_all=True, append_images=[later] * 3, duration=100)
    assert_upright(opened(make_variants(data).variants[400].data), tolerance=60)


def test_a_heic_photo_of_tiles_is_put_together() -> None:
    data = corpus.heic(corpus.quarters(1_500, 1_000), tile_size=512)
    assert b"grid" in data
    assert (probe(data).width, probe(data).height) == (1_500, 1_000)
    assert_upright(opened(make_variants(data).variants[400].data))


def test_the_blurhash_shows_the_picture() -> None:
    found = make_variants(corpus.encode(corpus.quarters(), "PNG")).blurhash
    assert blurhash.components(found) == (4, 3)
    shown = blurhash.decode(found, 32, 24)
    red, green, blue = shown[4][4]
    assert red > max(green, blue) + 60
    red, green, blue = shown[19][27]
    assert blue > max(red, green) + 60


def test_the_same_file_gives_the_same_rendition() -> None:
    assert make_variants(SAMPLES["image/jpeg"]) == make_variants(SAMPLES["image/jpeg"])


def test_limits_are_told_with_their_numbers() -> None:
    data = SAMPLES["image/png"]
    with pytest.raises(ImageRefused) as refused:
        probe(data, ImageLimits(bytes=len(data) - 1))
    assert (refused.value.code, refused.value.params) == ("too_large", {"size": len(data), "limit": len(data) - 1})
    with pytest.raises(ImageRefused) as refused:
        make_variants(data, limits=ImageLimits(pixels=64 * 48 - 1))
    assert refused.value.code == "too_many_pixels"
    assert refused.value.params == {"width": 64, "height": 48, "limit": 64 * 48 - 1}
    assert probe(data, ImageLimits(bytes=len(data), pixels=64 * 48)).width == 64
    with pytest.raises(ValueError):
        make_variants(data, sizes=())


def test_without_the_heic_extra_the_refusal_says_so() -> None:
    program = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from mealshare.features.media.images import ImageRefused, make_variants, probe\n"
        "data = sys.stdin.buffer.read()\n"
        "for step in (probe, make_variants):\n"
        "    try: step(data)\n"
        "    except ImageRefused as error: print(error.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=SAMPLES["image/heic"], capture_output=True, check=True, timeout=60
    )
    assert done.stdout.split() == [b"heic_not_supported"] * 2
