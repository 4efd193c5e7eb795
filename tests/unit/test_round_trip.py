"""What is stored is what was given: contracts are refused where they are declared, values where they are enqueued.

Jobs and events are two bases of one kind, so each case holds for both.
"""

import enum
import math
import re
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import orjson
import pytest
from pydantic import (
    AfterValidator,
    Base64Bytes,
    BaseModel,
    Field,
    PrivateAttr,
    Secret,
    SecretBytes,
    SecretStr,
    Strict,
    computed_field,
    create_model,
    field_serializer,
)

from moneyflow.events import registry as events
from moneyflow.events.topics import USER_EVENTS
from moneyflow.jobs import registry as jobs
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.events.contract import Event
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.payloads import Payload, to_json
from moneyflow.platform.telemetry.origin import Origin

pytestmark = pytest.mark.usefixtures("contracts")

_NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 2


class Pair(enum.Enum):
    ONE = (1, 2)


class Address(BaseModel):
    city: str


class HomeAddress(Address):
    floor: int


class Login(BaseModel):
    password: SecretStr


class Sized(BaseModel):
    width: int

    @computed_field
    def area(self) -> int:
        return self.width**2


class Thing:
    """Of no use to JSON."""


@dataclass
class Point:
    x: int


@dataclass
class Blob:
    content: bytes


class Tree(BaseModel):
    children: "list[Tree]" = []


def _job(field: Any) -> type[Job]:
    return create_model("Greet", __base__=Job, __cls_kwargs__={"kind": "greet"}, value=field)


def _event(field: Any) -> type[Event]:
    options = {"type": "user.greeted", "topic": USER_EVENTS, "subject": "user_id"}
    return create_model("Greeted", __base__=Event, __cls_kwargs__=options, user_id=UUID, value=field)


def _stored(contract: type[Payload], value: Any) -> Payload:
    """Write a payload as jobs and events are stored, and read it again."""
    given = _made(contract, value)
    if isinstance(given, Event):
        envelope = given.envelope(event_id=new_id(), source="/test", origin=Origin(), time=_NOW)
        data = orjson.loads(envelope)["data"]
        return type(given).from_payload(data, 1, sequence=1)
    return type(given).from_payload(orjson.loads(to_json(given.payload(), of="greet")), 1)


def _made(contract: type[Payload], value: Any) -> Payload:
    fields = {"user_id": UUID(int=1), "sequence": 1} if issubclass(contract, Event) else {}
    return contract.model_validate({**fields, "value": value})


def _named(value: object) -> str:
    """Return a parameter's name: the same in every process, so without addresses in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


_BASES = pytest.mark.parametrize("base", [_job, _event], ids=["job", "event"])


@_BASES
@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        (SecretStr, "value: a secret is stored as asterisks"),
        (SecretBytes | None, "value: a secret is stored as asterisks"),
        (list[SecretStr], r"value\.\*: a secret"),
        (Login, r"value\.password: a secret"),
        (dict[str, Login], r"value\.\*\.password: a secret"),
        (bytes, "value: JSON has no bytes"),
        (Blob, r"value\.content: JSON has no bytes"),
        (dict[tuple[int, int], str], "value: JSON has text keys, and a tuple is not read from one"),
        (dict[Address, str], "value: JSON has text keys, and a model"),
        (dict[int | None, str], "value: JSON has text keys, and a nullable"),
        (Sized, r"value\.area: a computed field is stored, and none takes it back"),
        (Annotated[str, Field(alias="name")], "value: it is stored under its name and read under its alias"),
        (Annotated[str, Field(serialization_alias="name")], "value: it is stored under its name"),
        (Annotated[str, Field(exclude=True)], "value: exclude leaves it out"),
        (Annotated[UUID, Strict()], "value: a strict uuid does not take the text"),
        (Annotated[set[int], Strict()], "value: a strict set does not take the text"),
        (Callable[[], int], "value: JSON has no functions"),
        (Iterable[int], "value: an iterator is read once"),
        (type[int], "value: JSON has no classes"),
    ],
    ids=_named,
)
def test_a_contract_that_cannot_be_stored_is_refused_where_it_is_declared(
    field: Any, complaint: str, base: Callable[[Any], type[Payload]]
) -> None:
    with pytest.raises(TypeError, match=f"does not come back from JSON as it was given: .*{complaint}"):
        base((field, ...))

    assert "greet" not in jobs
    assert "user.greeted" not in events


def test_every_field_that_cannot_be_stored_is_named_at_once() -> None:
    with pytest.raises(TypeError, match=r"Greet .*: area: .*; password: .*; content: "):

        class Greet(Job, kind="greet"):
            password: SecretStr
            content: bytes

            @computed_field
            def area(self) -> int:
                return 1


def test_an_arbitrary_type_is_refused_where_it_is_declared() -> None:
    with pytest.raises(TypeError, match="value: JSON has no form for this type"):

        class Greet(Job, kind="greet", arbitrary_types_allowed=True):
            value: Thing


@_BASES
@pytest.mark.parametrize(
    ("field", "value", "is_plain"),
    [
        (str, "Zoë \U0001f600 \\u0000", True),
        (int, 2**63, True),
        (bool, True, True),
        (float, 1e22, True),
        (float, 5e-324, True),
        (Decimal, Decimal("123456789012345678901234567890.10"), True),
        (UUID, UUID(int=7), True),
        (datetime, _NOW, True),
        (date, date.max, True),
        (time, time(1, 2, 3, 4), True),
        (timedelta, timedelta(microseconds=-1), True),
        (Colour, Colour.RED, True),
        (Level, Level.HIGH, True),
        (typing.Literal["a", 1], 1, True),
        (str | None, None, True),
        (int | str, "5", True),
        (Level | str, "high", False),
        (UUID | int, UUID(int=7), True),
        (list[int], [1], True),
        (set[str], {"a"}, True),
        (tuple[int, ...], (1, 2), True),
        (tuple[int, str], (1, "a"), True),
        (dict[str, list[int]], {"a": [1]}, True),
        (dict[int, str], {1: "a"}, True),
        (dict[UUID, int], {UUID(int=1): 1}, True),
        (Address, Address(city="Ulm"), False),
        (list[Address], [Address(city="Ulm")], False),
        (Tree, Tree(children=[Tree()]), False),
        (Point, Point(x=1), False),
        (Path, Path("/tmp"), False),
        (Base64Bytes, "AAEC", False),
        (UUID | str, "no id", False),
        (Any, {"a": [1, None, "b"]}, False),
        (Annotated[int, AfterValidator(abs)], 3, False),
        (Annotated[float, Field(allow_inf_nan=True)], 1.5, False),
    ],
    ids=_named,
)
def test_a_value_comes_back_as_it_was_given(
    field: Any, value: Any, is_plain: bool, base: Callable[[Any], type[Payload]]
) -> None:
    contract = base((field, ...))

    assert _stored(contract, value) == _made(contract, value)
    assert contract.payload_is_plain is is_plain


@_BASES
@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        (Address, HomeAddress(city="Ulm", floor=2), "value: a HomeAddress comes back as Address"),
        (list[Address], [HomeAddress(city="Ulm", floor=2)], r"value\.0: a HomeAddress comes back as Address"),
        (dict[str, Any], {"a": {"b": (1, 2)}}, r"value\.a\.b: a tuple comes back as list"),
        (dict[str, Any], {"a": UUID(int=1)}, r"value\.a: a UUID comes back as str"),
        (dict[Any, Any], {1: 2}, "value: a dict comes back with another value"),
        (Any, Address(city="Ulm"), "value: a Address comes back as dict"),
        (Any, math.nan, "value"),
        (Any, Thing(), "cannot be written as JSON: value: Unable to serialize unknown type"),
        (Annotated[float, Field(allow_inf_nan=True)], math.nan, "value: "),
        (Annotated[float, Field(allow_inf_nan=True)], math.inf, "value: "),
        (
            Annotated[Decimal, Field(allow_inf_nan=True)],
            Decimal("nan"),
            "value: a Decimal comes back with another value",
        ),
        (UUID | str, str(UUID(int=1)), "value"),
        (datetime | str, datetime(2026, 1, 1, tzinfo=UTC), "value: a datetime comes back as str"),
        (Pair, Pair.ONE, "value: Input should be"),
        (Annotated[int, AfterValidator(lambda number: number + 1)], 1, "value: a int comes back with another value"),
        (Secret[int], Secret(1), "value: "),
        (int, 2**64, "value: Integer exceeds 64-bit range"),
        (list[int], [1, 2**64], r"value\.1: Integer exceeds 64-bit range"),
        (str, "a\0b", "value: Postgres stores no text with the character NUL"),
        (dict[str, str], {"a": "b", "c\0": "d"}, "value.*: Postgres stores no text with the character NUL"),
        (str, "\ud800", "value: .*surrogates not allowed"),
    ],
    ids=_named,
)
def test_a_value_that_would_change_is_refused_and_its_field_is_named_without_the_value(
    field: Any, value: Any, complaint: str, base: Callable[[Any], type[Payload]]
) -> None:
    contract = base((field, ...))
    if field == UUID | str:  # Pydantic's smart mode takes an id in text as text, and so it comes back.
        value = UUID(int=1)

    with pytest.raises(InvalidInputError, match=complaint) as refused:
        _stored(contract, value)

    assert contract.payload_name in str(refused.value)
    assert "Ulm" not in str(refused.value)


def test_a_number_that_is_none_is_refused_where_the_job_is_made() -> None:
    greet = _job((float, ...))

    for number in (math.nan, math.inf):
        with pytest.raises(ValueError, match="value\n  Input should be a finite number"):
            greet.model_validate({"value": number})


def test_what_validation_never_saw_is_refused_when_it_is_written() -> None:
    unchecked: dict[str, Any] = {"value": 3}
    job = _job((str, ...)).model_construct(**unchecked)

    with pytest.raises(InvalidInputError, match="greet cannot be written as JSON: value: its value is not of its type"):
        job.payload()


def test_a_private_attribute_is_not_lost_in_silence() -> None:
    class Greet(Job, kind="greet"):
        name: str
        _seen: int = PrivateAttr(default=0)

    seen = Greet(name="Ada")
    seen._seen = 3

    assert Greet(name="Ada").payload() == {"name": "Ada"}
    with pytest.raises(InvalidInputError, match="Greet: what is no field, such as a private attribute, is lost"):
        seen.payload()


def test_a_serializer_of_its_own_is_tried_with_each_value() -> None:
    class Greet(Job, kind="greet"):
        name: str

        @field_serializer("name")
        def shortened(self, name: str) -> str:
            return name[:3]

    assert Greet(name="Ada").payload() == {"name": "Ada"}
    with pytest.raises(InvalidInputError, match="name: a str comes back with another value"):
        Greet(name="Adam").payload()


def test_what_every_sign_up_writes_is_guaranteed_by_its_types_and_not_read_back() -> None:
    written = [jobs["send_email"], jobs["send_welcome"], events["user.created"], events["user.activated"]]

    assert [contract.payload_name for contract in written if not contract.payload_is_plain] == []
