"""HTTP answers as values: a use case or a kept row makes one, and the API sends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from http import HTTPStatus
from typing import Any

import orjson

from moneyflow.platform import clock
from moneyflow.platform.json_text import dumps


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Status, headers and body."""

    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def json_answer(
    value: Any, *, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None, etag: str | None = None
) -> Answer:
    """Return an answer with a JSON body, and with an `ETag` where the client may update what it shows.

    Ids are written as text, times as RFC 3339 in UTC to the second, and dates as YYYY-MM-DD.
    """
    tagged = {"ETag": etag} if etag else {}
    body = dumps(value, default=_written, option=orjson.OPT_PASSTHROUGH_DATETIME)
    return Answer(status=status, headers={**(headers or {}), **tagged}, body=body)


def _written(value: object) -> object:
    if isinstance(value, datetime):
        # SECURITY: to the second. Finer times would show which mail a sign-up led to, and so whether the address has an
        # account.
        return clock.rfc3339_to_the_second(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError
