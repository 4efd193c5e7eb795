"""Forms: bodies of `multipart/form-data`, limited in size, whose parts are read as they come."""

from collections.abc import Iterator

import falcon
from falcon.media.multipart import BodyPart, MultipartFormHandler, MultipartParseOptions

from api.bodies import PIECE_BYTES, LimitedStream

_OPTIONS = MultipartParseOptions()
_OPTIONS.max_body_part_count = 8
_OPTIONS.max_body_part_headers_size = 4096
#: Bytes of a part that is read whole.
_OPTIONS.max_body_part_buffer_size = 16 * 1024
_HANDLER = MultipartFormHandler(_OPTIONS)
_MEDIA_TYPE = "multipart/form-data"


def read_parts(request: falcon.Request, limit: int) -> Iterator[tuple[str, BodyPart]]:
    """Yield each part with its name, which is there once; what is not read of it is skipped.

    Raises:
        falcon.HTTPContentTooLarge: the body has more than `limit` bytes, whatever its Content-Length says.
        falcon.HTTPUnsupportedMediaType: it is no form.
        falcon.HTTPBadRequest: it is damaged, or ends before its end.
    """
    media_type = (request.content_type or "").partition(";")[0].strip().lower()
    if media_type != _MEDIA_TYPE:
        raise falcon.HTTPUnsupportedMediaType(description=f"send the body as {_MEDIA_TYPE}")
    seen: set[str] = set()
    try:
        form = _HANDLER.deserialize(LimitedStream(request, limit), request.content_type, limit + 1)
        for part in form:
            name = part.name or ""
            if name in seen:
                raise falcon.HTTPBadRequest(description="a part of the form is there twice; send each once")
            seen.add(name)
            yield name, part
    except falcon.HTTPInvalidHeader:
        raise falcon.HTTPBadRequest(description="the Content-Type of the form has no valid boundary") from None
    except (falcon.MultipartParseError, UnicodeDecodeError) as error:
        raise falcon.HTTPBadRequest(description=f"the form is damaged: {_text(error)}") from None


def pieces_of(part: BodyPart) -> Iterator[bytes]:
    """Yield the content of a part piece by piece."""
    while piece := part.stream.read(PIECE_BYTES):
        yield piece


def text_of(part: BodyPart) -> str:
    """Return a part that is a text.

    Raises:
        falcon.HTTPBadRequest: it is longer than a text of a form, or not in UTF-8.
    """
    try:
        return part.get_data().decode()
    except (falcon.MultipartParseError, UnicodeDecodeError) as error:
        raise falcon.HTTPBadRequest(description=f"a part of the form is damaged: {_text(error)}") from None


def _text(error: Exception) -> str:
    if isinstance(error, falcon.HTTPError):
        return error.description or "it has another structure"
    return "a text in it is not in UTF-8"
