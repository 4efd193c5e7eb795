"""Results: what is kept of a job's result is what its handler returned, or the attempt fails and the error says why."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import orjson
import pytest
from pydantic import SecretStr

from moneyflow.platform.jobs.result_file import File
from moneyflow.platform.jobs.store.results import MAX_RESULT_BYTES, InvalidResultError, in_json


class _Colour(StrEnum):
    RED = "red"


class _Level(IntEnum):
    HIGH = 9


class _Kind(Enum):
    PAIR = (1, "one")


@dataclass
class _Point:
    x: int


class _Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")

    __str__ = __repr__


_MOMENT = datetime(2026, 11, 27, 12, tzinfo=UTC)
_FORMS: list[tuple[Any, Any]] = [
    (None, None), (True, True), (0, 0), (-(2**63) + 1, -(2**63) + 1), (0.1, 0.1), ("ü", "ü"), ("", ""),
    ([1, (2, [])], [1, [2, []]]), ({"a": {"b": 1}}, {"a": {"b": 1}}),
    (Decimal("12.30"), "12.30"), (UUID(int=7), str(UUID(int=7))), (PurePosixPath("a/b"), "a/b"),
    (_MOMENT, "2026-11-27T12:00:00+00:00"), (date(2026, 11, 27), "2026-11-27"), (time(12, 30), "12:30:00"),
    (_Colour.RED, "red"), (_Level.HIGH, 9), (_Kind.PAIR, [1, "one"]), ({_Colour.RED: 1}, {"red": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "form"), _FORMS, ids=lambda value: type(value).__name__)
def test_a_value_that_json_has_is_kept_as_it_is_and_ids_times_and_decimals_as_text(value: Any, form: Any) -> None:
    kept = in_json({"value": value})

    assert kept == {"value": form}
    assert json.loads(orjson.dumps(kept)) == kept, "every reader of JSON reads the same"


def _itself() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "NaN"), (float("inf"), "infinite"), (float("-inf"), "infinite"), (1e300, "64 bits"),
        (Decimal("NaN"), "NaN"), (2**64, "64 bits"), (-(2**64), "64 bits"),
        ("a\x00b", "NUL"), ("\ud800", "surrogate"), ({"a\x00": 1}, "NUL"),
        ({1: "one"}, "a key of type int"), ({None: 1}, "a key of type NoneType"), ({(1, 2): 1}, "a key of type tuple"),
        ({1, 2}, "type set"), (b"bytes", "type bytes"), (timedelta(1), "type timedelta"), (_Point(1), "type _Point"),
        (SecretStr("hunter22"), "type SecretStr"), (ValueError("x"), "type ValueError"), (object(), "type object"),
        (_Unspeakable(), "type _Unspeakable"), (File(name="a", content=b""), "type File"),
        (_itself(), "levels deep"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_value_that_json_has_not_is_refused_and_its_place_is_named(value: Any, why: str) -> None:
    with pytest.raises(InvalidResultError, match=rf"result\.users\[1\]\.total.*{why}"):
        in_json({"users": [{}, {"total": value}]})


@pytest.mark.parametrize(
    "large",
    [{"text": "x" * MAX_RESULT_BYTES}, {"x" * MAX_RESULT_BYTES: 1}, {"list": [0] * MAX_RESULT_BYTES},
     {"text": "ü" * (MAX_RESULT_BYTES // 2)}],
    ids=["text", "key", "list", "bytes of UTF-8"],
)  # fmt: skip
def test_a_result_of_more_than_64_kib_is_refused(large: dict[str, Any]) -> None:
    with pytest.raises(InvalidResultError, match="more than 65536 bytes: return a File"):
        in_json(large)


def test_what_is_too_large_is_not_looked_at_to_its_end() -> None:
    class Endless(list[int]):
        looked_at = 0

        def __iter__(self) -> Any:
            while True:
                self.looked_at += 1
                yield 0

    endless = Endless([0])
    with pytest.raises(InvalidResultError):
        in_json({"list": endless})

    assert endless.looked_at <= MAX_RESULT_BYTES
