"""The images of an avatar: any image of four formats becomes three squares, and nothing else of it is kept."""

import io
import resource
import struct
import zlib
from collections.abc import Mapping

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from moneyflow.accounts.avatar_images import MOST_PIXELS, SIZES, ImageRefusedError, media_type_of, scaled

_SECRET = b"47.3769 N 8.5417 E"
_RED, _BLUE = (255, 0, 0), (0, 0, 255)


def _encoded(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def _opened(images: Mapping[int, bytes]) -> Mapping[int, Image.Image]:
    return {size: Image.open(io.BytesIO(content)) for size, content in images.items()}


def _png_of(width: int, height: int) -> bytes:
    """Return a PNG of a few kilobytes whose pixels, all black, take any amount of memory."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, rows = zlib.compressobj(9), bytearray()
    for _ in range(min(height, 2000)):  # The rest is missing: no decoder comes that far.
        rows += packer.compress(bytes(1 + width * 3))
    rows += packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", bytes(rows)) + chunk(b"IEND", b"")


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


def test_metadata_and_what_follows_the_image_are_gone() -> None:
    exif, text = Image.Exif(), PngInfo()
    exif[0x010E] = _SECRET.decode()
    text.add_text("Comment", _SECRET.decode())
    image = Image.new("RGB", (100, 100), _RED)
    hostile = b"<script>alert(1)</script>PK\x03\x04" + _SECRET
    contents = [
        _encoded(image, "JPEG", exif=exif, comment=_SECRET) + hostile,
        _encoded(image, "PNG", pnginfo=text, exif=exif) + hostile,
        _encoded(image, "WEBP", exif=exif, xmp=_SECRET) + hostile,
        _encoded(image, "GIF", comment=_SECRET) + hostile,
    ]

    made = [image for content in contents for image in scaled(content).values()]

    assert all(_SECRET in content for content in contents)
    assert not [image for image in made if _SECRET in image or b"<script>" in image or b"EXIF" in image]


@pytest.mark.parametrize("side", [5001, 20_000, 60_000])
def test_an_image_bomb_is_refused_by_its_head_and_takes_no_memory(side: int) -> None:
    content = _png_of(side, side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(ImageRefusedError, match=f"more than {MOST_PIXELS:,} pixels"):
        scaled(content)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024
    assert len(content) < 3_000_000


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
