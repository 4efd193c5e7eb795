"""Request bodies: limited in size, parsed as JSON, validated by a model."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import falcon
import jiter
from pydantic import BaseModel, ConfigDict, ValidationError

from moneyflow.platform.errors import InvalidInputError

#: Bytes of the largest body; Falcon and gunicorn have no limit of their own.
MAX_BYTES = 64 * 1024
#: Levels of lists and objects inside one another; no model has more than a few.
MAX_DEPTH = 32
#: Problems that an answer names, and characters of each pointer and detail: an answer is no longer than its request.
_MOST_PROBLEMS = 20
_LONGEST_TEXT = 200
#: Bytes of a file that are read at once.
PIECE_BYTES = 64 * 1024
_INTEGERS = range(-(2**63), 2**63)

M = TypeVar("M", bound="Body")


class Body(BaseModel):
    """The base of every body: strict types, and unknown members are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, str_strip_whitespace=False)


def read_body(request: falcon.Request, limit: int = MAX_BYTES) -> bytes:
    """Read the whole body, but never more than `limit` bytes of it.

    Raises:
        falcon.HTTPContentTooLarge: it is larger, even when Content-Length is missing or wrong.
        falcon.HTTPUnsupportedMediaType: its content type is not JSON, or it is encoded, such as by gzip.
    """
    media_type = (request.content_type or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise falcon.HTTPUnsupportedMediaType(description="send the body as application/json")
    if (request.get_header("Content-Encoding") or "identity").strip().lower() != "identity":
        # SECURITY: a few compressed bytes may be a body of any length.
        raise falcon.HTTPUnsupportedMediaType(
            description="send the body as it is, without a Content-Encoding", headers={"Accept-Encoding": "identity"}
        )
    return LimitedStream(request, limit).read()


class LimitedStream:
    """The body of a request as it comes, of `limit` bytes at most."""

    def __init__(self, request: falcon.Request, limit: int) -> None:
        """Begin to read.

        Raises:
            falcon.HTTPContentTooLarge: it is larger by its Content-Length.
        """
        if (request.content_length or 0) > limit:
            raise _too_large(limit)
        self._stream = request.stream if request.content_length is None else request.bounded_stream
        self._limit = self._left = limit

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, all without a size; none at the end.

        Raises:
            falcon.HTTPContentTooLarge: it is larger, even when Content-Length is missing or wrong.
        """
        wanted = self._left + 1 if size is None or size < 0 else min(size, self._left + 1)
        piece: bytes = self._stream.read(wanted)
        self._left -= len(piece)
        if self._left < 0:
            raise _too_large(self._limit)
        return piece

    def pieces(self) -> Iterator[bytes]:
        """Yield the rest piece by piece; raises as `read` does."""
        while piece := self.read(PIECE_BYTES):
            yield piece


def _too_large(limit: int) -> falcon.HTTPContentTooLarge:
    return falcon.HTTPContentTooLarge(description=f"the body is larger than {limit} bytes; send less")


def parse(content: bytes, model: type[M]) -> M:
    """Return the body as `model`.

    Raises:
        falcon.HTTPBadRequest: it is not JSON, names a member twice, is nested too deep, or has a number that is not
            finite or needs more than 64 bits. NaN is not JSON.
        InvalidInputError: it does not fit the model; `errors` has the first problems with their JSON pointers.
    """
    try:
        value = jiter.from_json(content, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise falcon.HTTPBadRequest(description=f"the body is not JSON: {_cut(str(error))}") from error
    _check(value)
    if b"\\u0000" in content:
        _refuse_nul(value)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _invalid(error) from None


def _check(value: object) -> None:
    """Refuse what readers of JSON take for something else, or not at all."""
    level, depth = [value], 0
    while level:
        for one in level:
            if isinstance(one, float) and one - one != 0:
                raise falcon.HTTPBadRequest(description="a number in the body is too large; send it as text")
            if isinstance(one, int) and one not in _INTEGERS:
                raise falcon.HTTPBadRequest(description="a number in the body has more than 64 bits; send it as text")
        level, depth = [inner for one in level for inner in _inside(one)], depth + 1
        if level and depth > MAX_DEPTH:
            raise falcon.HTTPBadRequest(description=f"the body is nested deeper than {MAX_DEPTH} levels; flatten it")


def _inside(value: object) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _invalid(error: ValidationError) -> InvalidInputError:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return refusal("the body", [(one["loc"], one["msg"]) for one in found])


def refusal(what: str, found: Sequence[tuple[tuple[int | str, ...], str]]) -> InvalidInputError:
    """Return the error that names the first problems by their places."""
    problems = tuple((_cut(_pointer(place)), _cut(text)) for place, text in found[:_MOST_PROBLEMS])
    more = f", the first {_MOST_PROBLEMS} of {len(found)}" if len(found) > _MOST_PROBLEMS else ""
    return InvalidInputError(f"{what} does not fit; correct the members in `errors`{more}", problems)


def _refuse_nul(value: object) -> None:
    """Refuse texts that Postgres cannot hold."""
    found: list[tuple[tuple[int | str, ...], str]] = []
    waiting: list[tuple[tuple[int | str, ...], object]] = [((), value)]
    while waiting:
        place, part = waiting.pop()
        if isinstance(part, str) and "\0" in part:
            found.append((place, "must not hold the character NUL"))
        elif isinstance(part, dict):
            waiting += [((*place, name), inner) for name, inner in part.items()]
        elif isinstance(part, list):
            waiting += [((*place, number), inner) for number, inner in enumerate(part)]
    if found:
        raise refusal("the body", found)


def _pointer(location: tuple[int | str, ...]) -> str:
    """Write a location as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
