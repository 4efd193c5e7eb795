"""`moneyflow events tail|search`: events by type, subject and request, straight from Kafka and from the audit log."""

import asyncio
import os
import select
from datetime import timedelta
from typing import IO
from uuid import UUID, uuid4

import orjson
import pytest

from moneyflow.audit.append import Entry, append
from moneyflow.events.topics import USER_EVENTS
from moneyflow.events.user import UserActivated, UserDeleted
from moneyflow.platform import clock
from moneyflow.platform.brokers import event_reader
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.events import envelope
from moneyflow.platform.events.contract import Event
from moneyflow.platform.events.found import EventFilter
from moneyflow.platform.events.system import HealthCheck
from moneyflow.platform.events.topics import SYSTEM_EVENTS
from moneyflow.platform.telemetry.origin import Origin
from moneyflow.settings import AllSettings
from tests.support.dead_events import as_sink
from tests.support.failures import moneyflow, moneyflow_process
from tests.support.kafka_records import produce
from tests.support.waiting import eventually


def _value(event: Event, *, request: str | None = None, ago_seconds: float = 0) -> bytes:
    return event.envelope(
        event_id=uuid4(),
        source="/money-flow/test",
        origin=Origin(correlation_id=request, actor_id=None, traceparent=None),
        time=clock.now() - timedelta(seconds=ago_seconds),
    )


def _activated(user_id: UUID | None = None, *, request: str | None = None, ago_seconds: float = 0) -> bytes:
    event = UserActivated(sequence=1, user_id=user_id or uuid4(), activated_at=clock.now())
    return _value(event, request=request, ago_seconds=ago_seconds)


def _health() -> bytes:
    return _value(HealthCheck(sequence=1, process="relay", instance="host:1", alive=True, ready=True, uptime_seconds=3))


def _ids(events: list[dict[str, str]]) -> list[str]:
    return [event["id"] for event in events]


def _id(value: bytes) -> str:
    return str(orjson.loads(value)["id"])


def test_kafka_is_searched_by_type_subject_request_and_time_the_newest_first(
    topics: AllSettings, environment: dict[str, str]
) -> None:
    user = uuid4()
    old, one, other = _activated(user, ago_seconds=7200), _activated(user, request="request-7"), _activated()
    gone, health = _value(UserDeleted(sequence=2, user_id=user)), _health()
    produce(topics, USER_EVENTS, [(b"k", value) for value in (old, one, other, b"no event", gone)])
    produce(topics, SYSTEM_EVENTS, [(b"relay", health)])

    def search(*words: str) -> list[str]:
        answer = moneyflow(environment, "events", "search", "--from", "kafka", *words, "--json")
        assert answer.code == 0
        assert answer.json["read"] == answer.json["records"]
        return _ids(answer.json["events"])

    everything = search()
    assert set(everything) == {None, *map(_id, (old, one, other, gone, health))}
    assert search("--type", "user.activated") == [_id(value) for value in (other, one, old)]
    assert search("--subject", str(user), "--since", "1h") == [_id(gone), _id(one)]
    assert search("--subject", str(user), "--until", "1h") == [_id(old)]
    assert search("--correlation-id", "request-7") == [_id(one)]
    assert search("--type", "system.*") == search("--topic", SYSTEM_EVENTS) == [_id(health)]
    assert search("--type", "user.*", "--limit", "1") == [_id(gone)]

    printed = moneyflow(environment | {"COLUMNS": "80"}, "events", "search", "--from", "kafka").text
    assert all(_id(value) in printed for value in (old, one, other, gone, health))
    assert "not a CloudEvents envelope" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_a_search_that_runs_out_of_time_says_how_much_it_has_read(topics: AllSettings) -> None:
    produce(topics, USER_EVENTS, [(b"k", _activated())])

    found = asyncio.run(event_reader.search(topics, EventFilter(), limit=9, seconds=0))

    assert (found.read, found.records, found.is_complete) == (0, 1, False)


def test_the_audit_log_is_searched_as_its_own_role(environment: dict[str, str], settings: AllSettings) -> None:
    user = uuid4()
    values = [_activated(user, request="request-7"), _activated(), _health()]
    entries = [
        Entry(offset=offset, key=b"k", value=value, envelope=envelope.read(value))
        for offset, value in enumerate(values)
    ]
    with as_sink(settings) as database, database.transaction() as session:
        append(session, topic=USER_EVENTS, partition=0, entries=entries)

    def search(*words: str) -> list[str]:
        return _ids(moneyflow(environment, "events", "search", *words, "--json").json["events"])

    assert search() == [_id(value) for value in reversed(values)]
    assert search("--type", "system.*") == [_id(values[2])]
    assert search("--subject", str(user)) == search("--correlation-id", "request-7") == [_id(values[0])]
    printed = moneyflow(environment | {"COLUMNS": "80"}, "events", "search").text
    assert all(_id(value) in printed for value in values)


def test_a_tail_shows_what_matches_as_it_comes(topics: AllSettings, environment: dict[str, str]) -> None:
    user = uuid4()
    first, second = _activated(user), _activated(user)
    produce(topics, USER_EVENTS, [(b"k", first), (b"k", _activated())])

    tail = moneyflow_process(environment, "events", "tail", "--subject", user, "--since", "1h", "--limit", "2",
                             "--json")  # fmt: skip
    assert tail.stdout is not None
    line = tail.stdout.readline()
    produce(topics, USER_EVENTS, [(b"k", b"no event"), (b"k", second)])
    rest, notes = tail.communicate(timeout=60)

    assert tail.returncode == 0, notes
    assert [orjson.loads(text)["id"] for text in (line, rest)] == [_id(first), _id(second)]


def test_a_tail_begins_with_the_next_event_and_ends_with_ctrl_c(
    topics: AllSettings, environment: dict[str, str]
) -> None:
    earlier = _activated()
    produce(topics, USER_EVENTS, [(b"k", earlier)])
    tail = moneyflow_process(environment, "events", "tail", "--type", "user.activated", "--json")
    assert tail.stdout is not None
    printed, sent = tail.stdout, list[str]()

    def seen() -> str | None:  # Until the tail has begun, which shows in what it prints alone.
        sent.append(_id(value := _activated()))
        produce(topics, USER_EVENTS, [(b"k", value)])
        return lines[0] if (lines := _lines_of(printed)) else None

    line = eventually(seen, what="an event is shown")
    tail.send_signal(2)
    tail.communicate(timeout=60)

    assert orjson.loads(line)["id"] in sent
    assert _id(earlier) not in line
    assert tail.returncode == 0


def _lines_of(stream: IO[str]) -> list[str]:
    """Return the lines that a process has printed so far, without waiting for more."""
    ready, _, _ = select.select([stream], [], [], 0.2)
    return os.read(stream.fileno(), 65536).decode().splitlines() if ready else []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["tail", "--type", "user.crated"], "did you mean user.created?"),
        (["tail", "--topic", "usr.events"], "did you mean user.events?"),
        (["tail", "--until", "1h"], "a tail has no end"),
        (["search", "--since", "1h", "--until", "2h"], "--until is not after --since"),
        (["search", "--topic", "user.events"], "--topic: give --type with --from audit"),
        (["search", "--subject", "a", "--subject", "b"], "--subject: give one with --from audit"),
    ],
)
def test_what_cannot_be_meant_is_refused(environment: dict[str, str], words: list[str], text: str) -> None:
    with pytest.raises(InvalidInputError, match=text.replace("?", r"\?")):
        moneyflow(environment, "events", *words)
