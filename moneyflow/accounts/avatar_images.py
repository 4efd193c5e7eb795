"""The images of an avatar, made from an image of anyone's making.

SECURITY: only the decoders of four formats see the content, after its size in pixels is known, one image at a time in
a process. What is kept is made from the pixels alone: no metadata, no comment, and nothing that follows the image.
"""

import io
import threading
from collections.abc import Mapping
from typing import Literal, get_args

from PIL import Image, ImageOps

from moneyflow.platform.errors import MoneyFlowError

#: The sides of the images, in pixels; the largest is the avatar itself.
SIZES = (512, 256, 64)
#: Pixels of the largest image: about what a camera of 24 megapixels takes. It needs 100 MB while it is decoded.
MOST_PIXELS = 25_000_000
#: Of the content's first bytes, as a server outside names its type.
MediaType = Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
MEDIA_TYPES: tuple[str, ...] = get_args(MediaType)

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_QUALITY = 82
_one_at_a_time = threading.Lock()


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
        ImageRefusedError: it is no image of these formats, is damaged, or has too many pixels.
    """
    with _one_at_a_time:
        try:
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                _check_pixels(image)
                return _squares(image)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise _too_large() from None
        except ImageRefusedError:
            raise
        except Exception as error:
            raise ImageRefusedError("it is no image, or is damaged; send a PNG, JPEG, GIF or WebP") from error


def _check_pixels(image: Image.Image) -> None:
    """Refuse an image by the size in its header, before anything is decoded."""
    if image.width * image.height > MOST_PIXELS:
        raise _too_large()


def _too_large() -> ImageRefusedError:
    return ImageRefusedError(f"it has more than {MOST_PIXELS:,} pixels; send a smaller one")


def _squares(image: Image.Image) -> Mapping[int, bytes]:
    largest = max(SIZES)
    image.draft("RGB", (largest * 2, largest * 2))  # A large JPEG is decoded at a fraction of its size.
    image.load()
    # A thumbnail first: what follows has a small image, whatever the form of the large one.
    upright = ImageOps.exif_transpose(_in_colours(image))
    square = ImageOps.fit(upright, (largest, largest), Image.Resampling.LANCZOS)
    return {size: _webp(square.resize((size, size), Image.Resampling.LANCZOS)) for size in SIZES}


def _in_colours(image: Image.Image) -> Image.Image:
    """Return the image in the colours of WebP, with its transparency; its EXIF orientation stays with it."""
    has_alpha = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "RGB")


def _webp(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=_QUALITY, exif=b"", icc_profile=b"", xmp=b"")
    return out.getvalue()
