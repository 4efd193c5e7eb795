"""The images of an avatar: any image of four formats becomes three squares, and nothing else of it is kept."""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from moneyflow.accounts.avatar_images import MOST_PIXELS, SIZES, ImageRefusedError, media_type_of, scaled
from ops.dev.stack.home import CHECKOUT

#: Prints what becomes of a file, and by how many KiB the memory of the process grew at the peak.
_MEASURE = """
import sys
from moneyflow.accounts.avatar_images import ImageRefusedError, scaled
content = open(sys.argv[1], "rb").read()
def peak(): return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
before = peak()
try:
    scaled(content)
    print("made", peak() - before)
except ImageRefusedError:
    print("refused", peak() - before)
"""
_SECRET = b"47.3769 N 8.5417 E"
_RED, _BLUE = (255, 0, 0), (0, 0, 255)


def _encoded(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def _opened(images: Mapping[int, bytes]) -> Mapping[int, Image.Image]:
    return {size: Image.open(io.BytesIO(content)) for size, content in images.items()}


def _plain(format: str, **options: object) -> bytes:
    return _encoded(Image.new("RGB", (50, 50), _RED), format, **options)


def _png_of(side: int) -> bytes:
    """Return a PNG of a few kilobytes that says that it has very many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + side * 3)) for _ in range(1000)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _gif_of(side: int) -> bytes:
    sides = struct.pack("<HH", side, side)
    return b"GIF89a" + sides + b"\x80\0\0" + bytes(6) + b"," + bytes(4) + sides + b"\0\x02\x02\x44\x01\0;"


def _animated_webp_of(side: int) -> bytes:
    """Return a small WebP whose canvas has very many pixels."""
    frame = _encoded(Image.new("RGB", (16, 16)), "WEBP", lossless=True)[12:]
    sides = struct.pack("<I", side - 1)[:3] * 2
    animation = b"\0" * 6 + struct.pack("<I", 15)[:3] * 2 + b"\x64\0\0\0" + frame
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + sides + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    chunks += b"ANMF" + struct.pack("<I", len(animation)) + animation
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _measured(content: bytes, folder: Path) -> tuple[str, int]:
    """Return what a process of its own makes of a file, and by how many MiB its memory grew at the peak."""
    (folder / "image").write_bytes(content)
    command = [sys.executable, "-c", _MEASURE, str(folder / "image")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CHECKOUT).stdout.split()
    return printed[0], int(printed[1]) // 1024


@pytest.mark.parametrize(
    ("format", "mode"),
    [
        ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "L"), ("PNG", "LA"), ("PNG", "1"), ("PNG", "I;16"),
        ("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("GIF", "P"), ("WEBP", "RGB"), ("WEBP", "RGBA"),
    ],
)  # fmt: skip
def test_each_format_becomes_three_squares_of_webp(format: str, mode: str) -> None:
    content = _encoded(Image.new(mode, (900, 300)), format)

    made = _opened(scaled(content))

    assert media_type_of(content) == f"image/{format.lower()}"
    assert {size: (image.format, image.size) for size, image in made.items()} == {
        size: ("WEBP", (size, size)) for size in SIZES
    }


def test_a_small_image_is_enlarged_and_of_an_animation_the_first_picture_is_taken() -> None:
    first, second = Image.new("RGB", (8, 8), _RED), Image.new("RGB", (8, 8), _BLUE)
    content = _encoded(first, "GIF", save_all=True, append_images=[second])

    made = _opened(scaled(content))

    assert made[512].size == (512, 512)
    red, _, blue = made[64].convert("RGB").getpixel((32, 32))  # type: ignore[misc]
    assert (red > 200, blue < 50) == (True, True)
    assert not getattr(made[64], "is_animated", False)


def test_the_middle_is_taken_and_a_photograph_stands_upright() -> None:
    image = Image.new("RGB", (300, 200), _BLUE)
    image.paste(_RED, (0, 0, 150, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # It was taken with the camera turned: its left side is the top.

    upright = _opened(scaled(_encoded(image, "JPEG", exif=exif)))[256].convert("RGB")

    top, bottom = upright.getpixel((128, 20)), upright.getpixel((128, 236))
    assert (top[0] > 200, bottom[2] > 200) == (True, True)  # type: ignore[index]


def test_metadata_is_gone() -> None:
    exif, text = Image.Exif(), PngInfo()
    exif[0x010E] = _SECRET.decode()
    text.add_text("Comment", _SECRET.decode())
    image = Image.new("RGB", (100, 100), _RED)
    contents = [
        _encoded(image, "JPEG", exif=exif, comment=_SECRET, icc_profile=_SECRET),
        _encoded(image, "PNG", pnginfo=text, exif=exif),
        _encoded(image, "WEBP", exif=exif, xmp=_SECRET),
        _encoded(image, "GIF", comment=_SECRET),
    ]

    made = [image for content in contents for image in scaled(content).values()]

    assert all(_SECRET in content for content in contents)
    assert not [image for image in made if _SECRET in image or b"EXIF" in image]
    assert not [image for image in made if {"exif", "xmp"} & Image.open(io.BytesIO(image)).info.keys()]


@pytest.mark.parametrize(
    "polyglot",
    [
        _plain("PNG") + b"PK\x05\x06" + bytes(18), _plain("JPEG") + b"PK\x05\x06" + bytes(16) + b"\2\0ok",
        _plain("PNG") + b"anything at all", _plain("GIF") + b"*/=1;alert(1)//",
        _plain("WEBP") + b"<?php system($_GET[0]); ?>", _plain("JPEG", comment=b"%PDF-1.7"),
        _plain("JPEG", comment=b"<SCRIPT>alert(1)</SCRIPT>"), _plain("JPEG") + b"<html><body>",
    ],
)  # fmt: skip
def test_a_file_that_is_an_image_and_something_else_is_refused(polyglot: bytes) -> None:
    assert Image.open(io.BytesIO(polyglot)).size == (50, 50), "a decoder takes it"

    with pytest.raises(ImageRefusedError, match="an image and something else too"):
        scaled(polyglot)


def test_what_a_telephone_keeps_after_a_jpeg_is_taken_and_dropped() -> None:
    made = scaled(_plain("JPEG") + b"MotionPhoto_Data" + bytes(1000) + b"PK\x05\x06" + bytes(100))

    assert not [image for image in made.values() if b"MotionPhoto" in image]


def test_a_jpeg_of_many_scans_is_refused() -> None:
    content = _plain("JPEG", progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]

    with pytest.raises(ImageRefusedError, match="scans"):
        scaled(content[:-2] + scan * 200 + content[-2:])


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "JPEG"])
def test_the_largest_images_that_are_taken_take_bounded_memory(format: str, tmp_path: Path) -> None:
    side = int(MOST_PIXELS[format] ** 0.5)
    options = {"progressive": True, "subsampling": 0} if format == "JPEG" else {}
    content = _encoded(Image.new("RGB", (side, side), _RED), format, **options)

    outcome, grown = _measured(content, tmp_path)

    assert outcome == "made"
    assert grown < 320


@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]), st.integers(0, 400), st.binary(min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_an_image_or_refused_and_nothing_else(format: str, place: int, damage: bytes) -> None:
    content = bytearray(_plain(format))
    at = place % len(content)
    content[at : at + len(damage)] = damage

    try:
        made = scaled(bytes(content))
    except ImageRefusedError:
        return
    assert tuple(made) == SIZES


@pytest.mark.parametrize(
    "bomb",
    [_png_of(5001), _png_of(20_000), _png_of(60_000), _gif_of(65_535), _animated_webp_of(16_383)],
    ids=["a png of its limit", "a png", "a large png", "a gif", "a webp"],
)
def test_an_image_bomb_is_refused_by_its_head_and_takes_no_memory(bomb: bytes, tmp_path: Path) -> None:
    assert len(bomb) < 3_000_000

    outcome, grown = _measured(bomb, tmp_path)

    assert outcome == "refused"
    assert grown < 20
    with pytest.raises(ImageRefusedError, match="pixels, the most of a"):
        scaled(bomb)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"GIF89a", b"\xff\xd8\xff", b"PK\x03\x04" + bytes(100), b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        _encoded(Image.new("RGB", (50, 50)), "TIFF"), _encoded(Image.new("RGB", (50, 50)), "BMP"),
        _encoded(Image.new("RGB", (500, 500), _RED), "JPEG")[:700],
        _encoded(Image.new("RGB", (50, 50)), "PNG").replace(b"IDAT", b"IDAX"),
        _encoded(Image.new("RGB", (50, 50)), "WEBP")[:40],
    ],
)  # fmt: skip
def test_what_is_no_whole_image_of_these_formats_is_refused(content: bytes) -> None:
    with pytest.raises(ImageRefusedError, match="no image, or is damaged"):
        scaled(content)
