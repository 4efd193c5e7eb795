"""Bodies: what does not fit is named by its pointer, before anything reads it."""

from typing import Any

import orjson
import pytest

from api.bodies import Body, parse
from moneyflow.platform.errors import InvalidInputError


class Address(Body):
    city: str


class Person(Body):
    name: str
    homes: tuple[Address, ...] = ()
    anything: Any = None


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"name": "a\0b"}, ["/name"]),
        ({"name": "Ada", "homes": [{"city": "Rome"}, {"city": "\0"}]}, ["/homes/1/city"]),
        ({"name": "Ada", "anything": {"a/b": {"c": ["\0"]}}}, ["/anything/a~1b/c/0"]),
        ({"name": "\0", "homes": [{"city": "\0"}]}, ["/homes/0/city", "/name"]),
    ],
)
def test_a_text_that_postgres_cannot_hold_is_refused_by_its_pointer(body: dict[str, Any], pointers: list[str]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse(orjson.dumps(body), Person)

    assert sorted(pointer for pointer, _ in refused.value.errors) == pointers


def test_a_text_that_only_names_nul_is_taken() -> None:
    assert parse(rb'{"name": "\\u0000"}', Person).name == r"\u0000"
