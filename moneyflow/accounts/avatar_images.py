"""The images of an avatar, made from an image of anyone's making.

SECURITY: only the decoders of four formats see the content, after its size in pixels is known, one image at a time in
a process, so that the memory is bounded. A file that is an image and something else too, such as an archive or a page
with a script, is refused. What is kept is made from the pixels alone: no metadata, no comment, and nothing that follows
the image.
"""

import io
import threading
from collections.abc import Mapping
from typing import Literal, get_args

from PIL import ExifTags, Image, ImageOps

from moneyflow.platform.errors import MoneyFlowError

#: The sides of the images, in pixels; the largest is the avatar itself.
SIZES = (512, 256, 64)
_LARGEST = max(SIZES)
#: Of the content's first bytes.
MediaType = Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
MEDIA_TYPES: tuple[str, ...] = get_args(MediaType)

#: The decoders, by Pillow's names, and the most pixels of each: a photograph of a telephone has 12 to 24.5 million, as
#: JPEG. At their peak the other decoders take 16 bytes for each.
MOST_PIXELS: Mapping[str, int] = {"JPEG": 25_000_000, "PNG": 16_000_000, "WEBP": 16_000_000, "GIF": 16_000_000}
#: A progressive JPEG has about ten scans, and each goes over all pixels.
_MOST_SCANS = 100
_START_OF_SCAN = b"\xff\xda"
#: How a file of the format ends; after the end of a JPEG telephones keep data of their own.
_ENDS: Mapping[str | None, bytes] = {"PNG": b"IEND\xaeB`\x82", "GIF": b";"}
#: By which the readers of other formats find theirs anywhere in a file, in lower case; long enough to be no accident
#: among compressed pixels.
_OF_OTHER_FORMATS = (b"<script", b"<html", b"<!doctype", b"<iframe", b"<?php", b"%pdf-", b"rar!\x1a\x07")
#: The last record of a ZIP archive: its mark, its length without the comment, and where the comment's length is in it.
_ZIP_END, _ZIP_END_BYTES, _ZIP_COMMENT = b"PK\x05\x06", 22, 20
_QUALITY = 82
_one_at_a_time = threading.Lock()

# The check of the pixels is our own: Pillow warns of many, and refuses twice as many.
Image.MAX_IMAGE_PIXELS = None


class ImageRefusedError(MoneyFlowError):
    """The image cannot be an avatar; `detail` says why, for its user."""

    title = "Image refused"


def media_type_of(head: bytes) -> MediaType | None:
    """Return the type of an image by its first 12 bytes; None for everything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def scaled(content: bytes) -> Mapping[int, bytes]:
    """Return the image as WebP, square, by the length of its sides in pixels.

    Of an animation the first picture is taken, and of a picture the middle.

    Raises:
        ImageRefusedError: it is no image of these formats, is damaged, has too many pixels, or is something else too.
    """
    with _one_at_a_time:
        try:
            with Image.open(io.BytesIO(content), formats=list(MOST_PIXELS)) as image:
                _check(image, content)
                square = _square(image)
                _check_end(image, content)  # Afterwards: one that is cut off is no image.
        except ImageRefusedError:
            raise
        except Exception as error:  # A decoder raises anything at a damaged image.
            raise ImageRefusedError("it is no image, or is damaged; send a whole PNG, JPEG, GIF or WebP") from error
        return {size: _webp(square, size) for size in SIZES}


def _check(image: Image.Image, content: bytes) -> None:
    """Refuse by the header and the bytes, before a pixel is decoded."""
    assert image.format is not None, "it is that of the decoder"
    if image.width * image.height > MOST_PIXELS[image.format]:
        raise ImageRefusedError(
            f"it has more than {MOST_PIXELS[image.format]:,} pixels, the most of a {image.format}; send a smaller one"
        )
    if image.format == "JPEG" and content.count(_START_OF_SCAN) > _MOST_SCANS:
        raise ImageRefusedError("it has more scans than an image needs; save it again as a plain JPEG")
    lowered = content.lower()
    if any(mark in lowered for mark in _OF_OTHER_FORMATS) or _ends_as_archive(content):
        raise _ambiguous()


def _ends_as_archive(content: bytes) -> bool:
    """Return whether a reader of ZIP archives, which begins at the end, finds one."""
    at = content.rfind(_ZIP_END)
    if at < 0 or at + _ZIP_END_BYTES > len(content):
        return False
    comment_bytes = int.from_bytes(content[at + _ZIP_COMMENT : at + _ZIP_END_BYTES], "little")
    return at + _ZIP_END_BYTES + comment_bytes == len(content)


def _check_end(image: Image.Image, content: bytes) -> None:
    """Refuse a file that goes on after the end of its image."""
    if image.format == "WEBP":
        is_whole = int.from_bytes(content[4:8], "little") + 8 in {len(content), len(content) - 1}
    else:
        is_whole = content.rstrip(b"\0").endswith(_ENDS.get(image.format, b""))
    if not is_whole:
        raise _ambiguous()


def _ambiguous() -> ImageRefusedError:
    return ImageRefusedError("it is an image and something else too; save it again as a plain image, and send that")


def _square(image: Image.Image) -> Image.Image:
    """Decode the image, and return its middle in the largest size, upright."""
    # PERF: a JPEG is decoded at an eighth, a quarter or a half of its sides where that is enough.
    image.draft("RGB", (_LARGEST * 2, _LARGEST * 2))
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    square = ImageOps.fit(_in_colours(image), (_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    square.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(square)


def _in_colours(image: Image.Image) -> Image.Image:
    """Return the image with three channels of eight bits, and with transparency where it has any."""
    image.load()
    if image.mode in {"RGB", "RGBA"} and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16 bits of grey, which a plain conversion would cut off.
        return image.point(lambda value: value / 256).convert("L").convert("RGB")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _webp(square: Image.Image, size: int) -> bytes:
    clean = Image.new(square.mode, square.size)
    clean.paste(square)  # The pixels alone: an image carries its metadata with it.
    out = io.BytesIO()
    clean.resize((size, size), Image.Resampling.LANCZOS).save(out, "WEBP", quality=_QUALITY)
    return out.getvalue()
