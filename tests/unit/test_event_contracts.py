"""An event's contract, and its envelope as any CloudEvents 1.0 reader sees it."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from moneyflow.events import Event, registry
from moneyflow.events.topics import USER_EVENTS
from moneyflow.events.user import UserActivated, UserCreated, UserUpdated
from moneyflow.platform.errors import PoisonError, UnknownVersionError, UnreadableError
from moneyflow.platform.events import envelope
from moneyflow.platform.events.contract import MAX_EVENT_BYTES
from moneyflow.platform.events.system import SystemWarning
from moneyflow.platform.events.topics import event_topics
from moneyflow.platform.ids import new_id
from moneyflow.platform.telemetry.origin import Origin

pytestmark = pytest.mark.usefixtures("contracts")

_TIME = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
_EMPTY = Origin()
_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_ROOT = Path(__file__).parents[2]
_SAMPLES_FOLDER = _ROOT / "tests/contracts/events/samples"
_SAMPLES = sorted(_SAMPLES_FOLDER.glob("*.json"))


def _created() -> UserCreated:
    return UserCreated(sequence=3, user_id=UUID(int=7), created_at=_TIME)


def _envelope(event: Event, origin: Origin = _EMPTY, event_id: UUID | None = None) -> bytes:
    return event.envelope(event_id=event_id or new_id(), source="/money-flow/api", origin=origin, time=_TIME)


def test_a_cloudevents_reader_finds_every_attribute_of_the_contract() -> None:
    event_id = new_id()
    origin = Origin(correlation_id="request-1", traceparent=_TRACE, actor_id="actor-1")

    read = JSONFormat().read(CloudEvent, _envelope(_created(), origin, event_id))

    assert isinstance(read, CloudEvent)
    assert read.get_attributes() == {
        "specversion": "1.0",
        "id": str(event_id),
        "source": "/money-flow/api",
        "type": "user.created",
        "subject": str(UUID(int=7)),
        "time": _TIME,
        "datacontenttype": "application/json",
        "dataschema": "/schemas/user.created/1",
        "sequence": "3",
        "correlationid": "request-1",
        "traceparent": _TRACE,
        "actorid": "actor-1",
    }
    assert read.get_data() == {
        "user_id": str(UUID(int=7)),
        "created_at": "2026-01-02T03:04:05.000006Z",
    }


def test_what_is_not_known_of_the_origin_is_left_out_for_null_is_no_value_of_cloudevents() -> None:
    fields = orjson.loads(_envelope(_created()))

    assert fields.keys().isdisjoint({"actorid", "correlationid", "traceparent"})
    assert None not in fields.values()


def test_the_key_is_the_subject_unless_another_field_is_named() -> None:
    class Moved(Event, type="user.moved", topic=USER_EVENTS, subject="move_id", key="user_id"):
        move_id: UUID
        user_id: UUID

    moved = Moved(sequence=1, move_id=UUID(int=1), user_id=UUID(int=2))

    assert moved.key() == str(UUID(int=2))
    assert orjson.loads(_envelope(moved))["subject"] == str(UUID(int=1))
    assert _created().key() == str(UUID(int=7))


def test_an_event_that_kafka_would_refuse_is_refused_where_it_is_made() -> None:
    long = UserUpdated(sequence=2, user_id=UUID(int=7), changed=("ë" * (MAX_EVENT_BYTES // 2),))

    with pytest.raises(ValueError, match=rf"user\.updated takes \d+ bytes, more than {MAX_EVENT_BYTES}"):
        _envelope(long)


def test_a_sequence_starts_at_one() -> None:
    with pytest.raises(ValueError, match="sequence"):
        UserActivated(sequence=0, user_id=uuid4(), activated_at=_TIME)


def test_an_event_comes_back_from_its_envelope_as_it_was() -> None:
    assert UserCreated.from_envelope(envelope.read(_envelope(_created()))) == _created()


@pytest.mark.parametrize("file", _SAMPLES, ids=lambda file: file.stem)
def test_each_pinned_sample_of_each_version_is_read_by_the_code_of_today(file: Path) -> None:
    sample = envelope.read(file.read_bytes())

    event = registry[sample.type].from_envelope(sample)

    assert (f"{sample.type}.{sample.version}", event.sequence) == (file.stem, sample.sequence)


def test_a_warning_of_version_1_is_one_warning() -> None:
    old = envelope.read((_SAMPLES_FOLDER / "system.warning.1.json").read_bytes())

    warning = SystemWarning.from_envelope(old)

    assert (warning.code, warning.count, warning.since) == ("jobs_starved", 1, None)


def test_data_of_an_older_version_is_upgraded_step_by_step() -> None:
    old = envelope.read(_envelope(_created()))

    class Greeted(
        Event,
        type="user.greeted",
        topic=USER_EVENTS,
        subject="user_id",
        version=3,
        upgrades={1: lambda data: {"user_id": data["user_id"]}, 2: lambda data: {**data, "language": "de"}},
    ):
        user_id: UUID
        language: str

    assert Greeted.from_envelope(old) == Greeted(sequence=3, user_id=UUID(int=7), language="de")


def test_data_of_a_newer_producer_waits_for_a_newer_consumer() -> None:
    newer = orjson.loads(_envelope(_created())) | {"dataschema": "/schemas/user.created/2"}

    with pytest.raises(
        UnknownVersionError, match=r"knows version 1 of user\.created, and what is stored has version 2"
    ):
        UserCreated.from_envelope(envelope.read(orjson.dumps(newer)))


def test_a_field_that_is_not_known_here_waits_for_a_newer_consumer_too() -> None:
    newer = orjson.loads(_envelope(_created()))
    newer["data"]["language"] = "de"

    with pytest.raises(UnknownVersionError, match="language: Extra inputs are not permitted; deploy a version"):
        UserCreated.from_envelope(envelope.read(orjson.dumps(newer)))


def test_an_upgrade_that_does_not_fit_waits_for_one_that_does() -> None:
    old = envelope.read(_envelope(_created()))

    class Greeted(Event, type="user.greeted", topic=USER_EVENTS, subject="user_id", version=2, upgrades={1: dict}):
        user_id: UUID
        language: str

    with pytest.raises(UnreadableError, match=r"does not fit version 1 of user\.greeted: language: Field required"):
        Greeted.from_envelope(old)


@pytest.mark.parametrize(
    "change",
    [
        {"data": {}},
        {"data": None},
        {"data": []},
        {"dataschema": "/schemas/user.activated/1"},
        {"dataschema": "/schemas/user.created/0"},
        {"dataschema": "https://elsewhere.example/1"},
        {"sequence": "0"},
        {"sequence": "many"},
    ],
    ids=str,
)
def test_data_that_no_version_has_written_is_poison(change: dict[str, object]) -> None:
    bad = orjson.loads(_envelope(_created())) | change

    with pytest.raises(PoisonError):
        UserCreated.from_envelope(envelope.read(orjson.dumps(bad)))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"topics": "user.events"}, "unknown option topics"),
        ({"topic": "users"}, "topic must be declared"),
        ({"topic": "events.dead_letter"}, "topic must be declared"),
        ({"subject": "id"}, "subject and key must be fields"),
        ({"key": "id"}, "subject and key must be fields"),
        ({"version": 0}, "version is at least 1"),
        ({"version": 2}, "`upgrades` has a function from each earlier version"),
        ({"type": "User.Moved"}, "is taken or not of the form"),
        ({"type": "moved"}, "is taken or not of the form"),
        ({"type": "user.created"}, "is taken or not of the form"),
    ],
    ids=str,
)
def test_a_wrong_declaration_fails_where_it_is_written(options: dict[str, object], complaint: str) -> None:
    fields = {"__module__": __name__, "__annotations__": {"user_id": UUID}}
    good = {"type": "user.moved", "topic": USER_EVENTS, "subject": "user_id"}

    with pytest.raises(TypeError, match=complaint):
        type("Moved", (Event,), fields, **(good | options))

    assert "user.moved" not in registry


def test_every_declared_event_goes_to_the_topic_of_its_name() -> None:
    for type_, event in registry.items():
        assert event.topic == f"{type_.partition('.')[0]}.events"
        assert event.topic in event_topics()


def test_a_process_that_asks_for_every_topic_imports_the_contracts_first() -> None:
    modules = [
        path for part in ("moneyflow", "api", "workers", "consumers", "ops") for path in (_ROOT / part).rglob("*.py")
    ]
    asking = [path for path in modules if "event_topics()" in path.read_text(encoding="utf-8")]

    outside = [path for path in asking if "platform" not in path.parts]
    assert outside
    for path in outside:
        text = path.read_text(encoding="utf-8")
        assert "from moneyflow.events import event_topics" in text, f"{path}: import event_topics from moneyflow.events"
