"""HTTP answers as values: a use case or a kept row makes one, and the API sends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

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
    """Return an answer with a JSON body, and with an `ETag` where the client may update what it shows."""
    tagged = {"ETag": etag} if etag else {}
    return Answer(status=status, headers={**(headers or {}), **tagged}, body=dumps(value))
