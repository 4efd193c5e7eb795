"""Consumers that die, freeze or meet bad data: every record is written once, and none is lost."""

import re
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from moneyflow.events.topics import USER_EVENTS
from moneyflow.platform import clock
from moneyflow.platform.database import Database
from moneyflow.platform.events import dead_letters
from moneyflow.platform.events.topics import DEAD_LETTER
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from tests.support import tally
from tests.support.kafka_records import everything_in, produce
from tests.support.processes import Process, Processes
from tests.support.waiting import eventually


@pytest.fixture
def ready(topics: AllSettings) -> AllSettings:
    """Return the settings of a test with topics and the tables of the tally sink."""
    tally.create_tables(topics)
    return topics


def _send(settings: AllSettings, count: int) -> None:
    produce(settings, USER_EVENTS, [(uuid.uuid4().bytes, b"any") for _ in range(count)])


def _until_written(settings: AllSettings, count: int) -> None:
    eventually(
        lambda: len(tally.tallied(settings)) == count,
        seconds=40,
        what=f"{count} records written; there are {len(tally.tallied(settings))}",
    )


def _killed_before_mirror(settings: AllSettings, processes: Processes, *, successor: str) -> int:
    """Kill a consumer between the sink's commit and the mirror; return how often the most written record is there."""
    _send(settings, 30)
    first = processes.consumer("tally")
    _until_written(settings, 30)
    first.stop()
    _send(settings, 30)
    dying = processes.consumer("tally", sabotage="missed_soon+dies_at:consumer.committed:1")
    dying.wait()

    processes.consumer("tally", sabotage=successor)
    _until_written(settings, 60)
    _send(settings, 1)
    _until_written(settings, 61)
    return max(tally.tallied(settings).values())


def test_a_consumer_killed_between_commit_and_mirror_writes_nothing_twice(
    ready: AllSettings, processes: Processes
) -> None:
    assert _killed_before_mirror(ready, processes, successor="nothing") == 1


def test_without_the_assignment_fence_the_same_kill_writes_twice(ready: AllSettings, processes: Processes) -> None:
    assert _killed_before_mirror(ready, processes, successor="without_assignment_fence") == 2


def _frozen(settings: AllSettings, processes: Processes, *, sabotage: str) -> int:
    """Freeze a consumer in the middle of a batch, let another take over, thaw the first."""
    frozen = processes.consumer("tally", sabotage=sabotage, TALLY_SECONDS="1.5")
    _send(settings, 1)
    eventually(lambda: "tally_writing" in frozen.log(), what="the first consumer is in the middle of its batch")
    frozen.signal(signal.SIGSTOP)
    processes.consumer("tally", sabotage="missed_soon")
    _until_written(settings, 1)

    frozen.signal(signal.SIGCONT)
    eventually(
        lambda: "fence_lost" in frozen.log() or "batch_written" in frozen.log(), what="the zombie's attempt ended"
    )
    return max(tally.tallied(settings).values())


def test_a_thawed_consumer_whose_partition_was_taken_over_writes_nothing(
    ready: AllSettings, processes: Processes
) -> None:
    assert _frozen(ready, processes, sabotage="missed_soon") == 1


def test_without_the_epoch_the_zombies_batch_is_there_too(ready: AllSettings, processes: Processes) -> None:
    assert _frozen(ready, processes, sabotage="without_epoch") == 2


def _partitions(consumer: Process) -> set[str]:
    """Return the partitions of the only topic that this consumer has."""
    return set(re.findall(r'moneyflow_consumer_lag\{partition="(\d)",sink="tally"', consumer.get("/metrics").text))


def test_three_consumers_share_the_partitions_and_those_of_a_killed_one_go_to_the_others(
    ready: AllSettings, processes: Processes
) -> None:
    first, second, third = (processes.consumer("tally", sabotage="missed_soon") for _ in range(3))
    eventually(
        lambda: sorted(one for each in (first, second, third) for one in _partitions(each)) == ["0", "1", "2"],
        what="each partition has one consumer",
    )
    assert [len(_partitions(each)) for each in (first, second, third)] == [1, 1, 1]
    _send(ready, 60)
    _until_written(ready, 60)

    first.kill()
    _send(ready, 60)
    _until_written(ready, 120)

    assert max(tally.tallied(ready).values()) == 1


def _make_due(settings: AllSettings) -> int:
    """Make all dead letters due, as an operator does; return how many were dead."""
    database = Database(settings.conninfo("operator", application_name="test"), size=1)
    database.open()
    try:
        with database.transaction() as session:
            found = session.fetch_all("select id, attempts from event_dead_letters")
            letters = {row["id"]: row["attempts"] for row in found}
            return len(dead_letters.make_due(session, letters, operation_id=new_id(), due_from=clock.now()))
    finally:
        database.close()


def test_one_bad_record_of_10_000_is_dead_lettered_and_written_once_though_two_operators_ask_and_consumers_are_killed(
    ready: AllSettings, processes: Processes
) -> None:
    records = [(str(number % 30).encode(), b"any") for number in range(10_000)]
    records[5_003] = (records[5_003][0], tally.REFUSED)
    produce(ready, USER_EVENTS, records)
    broken = processes.consumer("tally")
    _until_written(ready, 9_999)
    broken.stop()
    assert tally.in_order(ready)

    with ThreadPoolExecutor(2) as operators:
        asked = list(operators.map(lambda _: _make_due(ready), range(2)))
    for point in ("consumer.dead_letter_written", "consumer.reprocessed"):
        dying = f"missed_soon+dies_at:{point}:1"
        processes.consumer("tally", sabotage=dying, wait_ready=False, TALLY_IS_MENDED="1").wait()
    processes.consumer("tally", TALLY_IS_MENDED="1")

    assert sorted(asked) == [0, 1]
    _send(ready, 1)
    _until_written(ready, 10_001)
    assert max(tally.tallied(ready).values()) == 1
    assert _make_due(ready) == 0
    assert len(everything_in(ready, DEAD_LETTER)) == 1


def test_a_bad_record_alone_is_dead_lettered_with_its_origin(
    topics: AllSettings, processes: Processes, environment: dict[str, str]
) -> None:
    produce(topics, USER_EVENTS, [(b"one-key", b"no envelope"), (b"one-key", b'{"specversion": "1.0"}')])
    consumer = processes.consumer("audit")

    published = eventually(
        lambda: found if len(found := everything_in(topics, DEAD_LETTER)) == 2 else None, what="two dead letters"
    )

    headers = [{name: value.decode() for name, value in dead_letter.headers or ()} for dead_letter in published]
    assert [(dead_letter.key, dead_letter.value) for dead_letter in published] == [
        (b"one-key", b"no envelope"),
        (b"one-key", b'{"specversion": "1.0"}'),
    ]
    assert [header["x-original-offset"] for header in headers] == ["0", "1"]
    assert headers[0]["x-original-topic"] == "user.events"
    assert headers[0]["x-sink"] == "audit"
    assert headers[1]["x-error-class"] == "PoisonError"
    assert headers[1]["x-error-message"] == "the envelope lacks id, source, type, subject, time"
    eventually(lambda: 'moneyflow_consumer_events_total{outcome="dead_lettered",sink="audit"} 2.0' in
               consumer.get("/metrics").text, what="both are counted")  # fmt: skip
    assert consumer.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "bad",
    [
        b'{"specversion":"1.0","id":"1","source":"/x","type":"user.x","subject":"\\ud800","time":"2026-01-01T00:00:00Z"}',
        b'{"specversion":"1.0","id":"%s","source":"/x","type":"x","subject":"s","time":"2026-01-01T00:00:00Z"}'
        % (b"7" * 6000),
        b'{"specversion":"1.0","id":"1","source":"/x","type":"x","subject":"a\\u0000b","time":"2026-01-01T00:00:00Z"}',
        b"x" * 1_000_000,
    ],
    ids=["half a surrogate pair", "an id too long for an index", "a NUL", "almost too large"],
)  # fmt: skip
def test_a_record_that_no_database_could_store_is_poison_and_the_good_record_after_it_is_written(
    topics: AllSettings, processes: Processes, bad: bytes
) -> None:
    good = b'{"specversion":"1.0","id":"2","source":"/x","type":"user.x","subject":"s","time":"2026-01-01T00:00:00Z"}'
    produce(topics, USER_EVENTS, [(b"one-key", bad), (b"one-key", good)])

    consumer = processes.consumer("audit")

    eventually(lambda: consumer.says("/metrics", 'total{outcome="written",sink="audit"} 1.0'), what="the good one")
    assert [dead_letter.value for dead_letter in everything_in(topics, DEAD_LETTER)] == [bad]


def test_a_consumer_killed_between_a_dead_letter_and_its_position_loses_neither_record(
    topics: AllSettings, processes: Processes
) -> None:
    good = b'{"specversion":"1.0","id":"2","source":"/x","type":"user.x","subject":"s","time":"2026-01-01T00:00:00Z"}'
    produce(topics, USER_EVENTS, [(b"one-key", b"no envelope"), (b"one-key", good)])
    processes.consumer("audit", sabotage="missed_soon+dies_at:consumer.dead_lettered:1", wait_ready=False).wait()

    consumer = processes.consumer("audit")

    eventually(lambda: consumer.says("/metrics", 'total{outcome="written",sink="audit"} 1.0'), what="the good one")
    assert [dead_letter.value for dead_letter in everything_in(topics, DEAD_LETTER)] == [b"no envelope"] * 2


def test_a_record_that_only_a_newer_version_reads_holds_its_partition_alone_until_that_version_runs(
    ready: AllSettings, processes: Processes
) -> None:
    keys = [str(number).encode() for number in range(30)]
    produce(ready, USER_EVENTS, [(keys[0], b"any"), (keys[0], tally.NEWER), (keys[0], b"any")])
    produce(ready, USER_EVENTS, [(key, b"any") for key in keys[1:]])
    older = processes.consumer("tally", wait_ready=False)

    eventually(lambda: older.says("/readyz", "a newer producer wrote it"), what="the partition is parked")
    eventually(lambda: older.says("/metrics", 'outcome="parked",sink="tally"'), what="it is counted")
    held = {(record.partition, record.offset) for record in everything_in(ready, USER_EVENTS) if record.key == keys[0]}
    parked, first = max(held)[0], min(held)
    others = {
        (record.partition, record.offset)
        for record in everything_in(ready, USER_EVENTS)
        if record.partition != parked or record.offset <= first[1]
    }
    eventually(lambda: tally.tallied(ready).keys() == others, seconds=40, what="the others are written")
    assert older.get("/healthz").status_code == 200
    older.stop()
    processes.consumer("tally", TALLY_IS_NEWER="1")

    _until_written(ready, 32)
    assert max(tally.tallied(ready).values()) == 1
    assert everything_in(ready, DEAD_LETTER) == []


def test_records_that_kafka_has_deleted_before_they_were_read_stop_the_partition_and_show_as_not_ready(
    ready: AllSettings, processes: Processes
) -> None:
    first = processes.consumer("tally")
    _send(ready, 12)
    _until_written(ready, 12)
    first.stop()
    tally.set_positions(ready, 10_000)  # As a wiped Kafka looks: the sink is ahead of all that is there.

    second = processes.consumer("tally", wait_ready=False)

    eventually(lambda: second.says("/readyz", "10000 is not in"), what="the gap is shown")
    assert second.get("/readyz").status_code == 503

    tally.set_positions(ready, 2)  # As when new records reach the old position: no operator has decided yet.
    second.stop()
    third = processes.consumer("tally", wait_ready=False)
    eventually(lambda: third.says("/readyz", "10000 is not in"), what="it is stopped until an operator clears the gap")
