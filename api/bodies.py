"""Request bodies: limited in size, parsed as JSON, validated by a model."""

from typing import TypeVar

import falcon
import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from moneyflow.platform.errors import InvalidInputError

#: Bytes of the largest body; Falcon and gunicorn have no limit of their own.
MAX_BYTES = 64 * 1024

M = TypeVar("M", bound="Body")


class Body(BaseModel):
    """The base of every body: strict types, and unknown members are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, str_strip_whitespace=False)


def read_body(request: falcon.Request, limit: int = MAX_BYTES) -> bytes:
    """Read the whole body, but never more than `limit` bytes of it.

    Raises:
        falcon.HTTPContentTooLarge: it is larger, even when Content-Length is missing or wrong.
        falcon.HTTPUnsupportedMediaType: its content type is not JSON.
    """
    media_type = (request.content_type or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise falcon.HTTPUnsupportedMediaType(description="send the body as application/json")
    if (request.content_length or 0) > limit:
        raise falcon.HTTPContentTooLarge(description=f"the body is larger than {limit} bytes; send less")
    stream = request.stream if request.content_length is None else request.bounded_stream
    content = stream.read(limit + 1)
    if len(content) > limit:
        raise falcon.HTTPContentTooLarge(description=f"the body is larger than {limit} bytes; send less")
    return content


def parse(content: bytes, model: type[M]) -> M:
    """Return the body as `model`.

    Raises:
        falcon.HTTPBadRequest: it is not JSON. The parser refuses NaN, limits depth, and reads numbers in linear time.
        InvalidInputError: it does not fit the model; `errors` has every problem with its JSON pointer.
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise falcon.HTTPBadRequest(description=f"the body is not JSON: {error}") from error
    if b"\\u0000" in content:
        _refuse_nul(value)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = tuple((_pointer(problem["loc"]), problem["msg"]) for problem in error.errors(include_url=False))
        raise InvalidInputError("the body does not fit; correct the members in `errors`", problems) from None


def _refuse_nul(value: object) -> None:
    """Refuse texts that Postgres cannot hold."""
    found: list[tuple[str, str]] = []
    waiting: list[tuple[tuple[int | str, ...], object]] = [((), value)]
    while waiting:
        place, part = waiting.pop()
        if isinstance(part, str) and "\0" in part:
            found.append((_pointer(place), "must not hold the character NUL"))
        elif isinstance(part, dict):
            waiting += [((*place, name), inner) for name, inner in part.items()]
        elif isinstance(part, list):
            waiting += [((*place, number), inner) for number, inner in enumerate(part)]
    if found:
        raise InvalidInputError("the body does not fit; correct the members in `errors`", tuple(found))


def _pointer(location: tuple[int | str, ...]) -> str:
    """Write a location as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)
