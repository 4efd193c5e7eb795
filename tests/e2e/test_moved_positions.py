"""`moneyflow consumers`: operators see where each sink is, skip gaps and rewind, while its consumers run."""

import uuid
from typing import Any

import orjson
import psycopg
import pytest

from moneyflow.events.topics import USER_EVENTS
from moneyflow.platform.errors import InvalidInputError
from moneyflow.settings import AllSettings
from tests.support import tally
from tests.support.failures import moneyflow
from tests.support.kafka_records import everything_in, produce
from tests.support.processes import Processes
from tests.support.waiting import eventually


@pytest.fixture
def ready(topics: AllSettings) -> AllSettings:
    """Return the settings of a test with topics and the tables of the tally sink."""
    tally.create_tables(topics)
    return topics


def _send(settings: AllSettings, count: int) -> None:
    produce(settings, USER_EVENTS, [(uuid.uuid4().bytes, b"any") for _ in range(count)])


def _partitions(environment: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = moneyflow(environment, "consumers", "list", "tally", "--json").json["partitions"]
    return found


def _times(settings: AllSettings) -> set[int]:
    """Return how often records were written, of those that were."""
    return set(tally.tallied(settings).values())


def test_an_idle_consumer_reads_again_from_where_an_operator_has_rewound_its_sink(
    ready: AllSettings, environment: dict[str, str], processes: Processes
) -> None:
    consumer = processes.consumer("tally", sabotage="missed_soon")
    _send(ready, 12)
    eventually(lambda: tally.count(ready) == 12, what="all are written")

    eventually(lambda: {one["state"] for one in _partitions(environment)} == {"up to date"}, what="nothing is behind")
    before = _partitions(environment)
    previewed = moneyflow(environment, "consumers", "rewind", "tally", "--to", "beginning", "--dry-run", "--json").json
    unmoved = _times(ready)
    rewound = moneyflow(environment, "consumers", "rewind", "tally", "--to", "beginning", "--reason", "rows were lost",
                        "--by", "ada", "--json")  # fmt: skip
    again = moneyflow(environment, "consumers", "rewind", "tally", "--to", "2h", "--dry-run", "--json").json

    assert {one["consumer"]["id"].rpartition("-")[0][:16] for one in before} == {"money-flow-tally"}
    assert sum(one["next_offset"] for one in before) == sum(one["newest"] for one in before) == 12
    assert sum(move["records"] for move in previewed["moves"]) == 12
    assert unmoved == {1}
    assert (rewound.code, rewound.json["results"]) == (0, {"rewound": len(before)})
    assert (rewound.json["operation"]["asked_by"], rewound.json["operation"]["reason"]) == ("ada", "rows were lost")
    eventually(lambda: _times(ready) == {2}, what="each record is written again, with no record that wakes it")
    assert sum(move["records"] or 0 for move in again["moves"]) in range(13)
    assert "fence_lost" in consumer.log()


def test_a_gap_is_acknowledged_once_and_the_sink_continues_where_kafka_has_records(
    ready: AllSettings, environment: dict[str, str], processes: Processes
) -> None:
    _send(ready, 12)
    consumer = processes.consumer("tally")
    eventually(lambda: tally.count(ready) == 12, what="all are written")
    consumer.stop()
    tally.set_positions(ready, 10_000)  # As a wiped Kafka looks: the sink is ahead of all that is there.
    waiting = processes.consumer("tally", wait_ready=False)
    eventually(lambda: waiting.says("/readyz", "10000 is not in"), what="the gap is shown")

    stopped = _partitions(environment)
    printed = moneyflow(environment | {"COLUMNS": "80"}, "consumers", "list").text
    refused = moneyflow_fails(environment, "rewind", "tally", "--to", "beginning", "--reason", "no")
    first, *others = [one["partition"] for one in stopped]
    skipped = moneyflow(environment, "consumers", "skip", "tally", USER_EVENTS, first, "--reason", "wiped", "--json")
    with pytest.raises(InvalidInputError, match=f"user.events {first} has no gap"):
        moneyflow(environment, "consumers", "skip", "tally", USER_EVENTS, first, "--reason", "wiped")
    for partition in others:
        moneyflow(environment, "consumers", "skip", "tally", USER_EVENTS, partition, "--reason", "wiped")
    waiting.stop()
    processes.consumer("tally")

    assert {one["state"] for one in stopped} == {"stopped"}
    assert all("10000 is not in" in one["why"] for one in stopped)
    assert max(map(len, printed.splitlines())) <= 80
    assert refused == "wrong state"
    assert (skipped.code, skipped.json["results"]) == (0, {"skipped": 1})
    assert skipped.json["items"][0]["detail"] == "from 10000 to 0"
    eventually(lambda: _times(ready) == {2}, what="it read from the oldest record again")
    listed = moneyflow(environment, "consumers", "operations", "--json").json["operations"]
    assert {(one["verb"], one["reason"]) for one in listed} >= {("skip", "wiped")}


def moneyflow_fails(environment: dict[str, str], *words: str) -> str:
    """Run a command that moves nothing, and return the result of each item, which is one for all."""
    answer = moneyflow(environment, "consumers", *words, "--json")
    assert answer.code == 1
    (result,) = answer.json["results"]
    return str(result)


def test_a_record_for_which_no_version_can_be_deployed_is_skipped_alone(
    ready: AllSettings, environment: dict[str, str], processes: Processes
) -> None:
    produce(ready, USER_EVENTS, [(b"one-key", b"any"), (b"one-key", tally.NEWER), (b"one-key", b"any")])
    parked = processes.consumer("tally", wait_ready=False)
    eventually(lambda: parked.says("/readyz", "a newer producer wrote it"), what="the partition is parked")
    parked.stop()
    (_, newer, _) = everything_in(ready, USER_EVENTS)

    previewed = moneyflow(environment, "consumers", "skip", "tally", USER_EVENTS, newer.partition, "--to",
                          newer.offset + 1, "--dry-run", "--json").json  # fmt: skip
    moneyflow(environment, "consumers", "skip", "tally", USER_EVENTS, newer.partition, "--to", newer.offset + 1,
              "--reason", "a test of the vendor's")  # fmt: skip
    processes.consumer("tally")

    (move,) = previewed["moves"]
    assert (move["from"], move["to"], move["records"], move["in_kafka"]) == (newer.offset, newer.offset + 1, 1, 1)
    eventually(lambda: tally.count(ready) == 2, what="the others are written")
    with psycopg.connect(ready.conninfo("relay", application_name="test")) as relay:
        warnings = [orjson.loads(row[0])["data"] for row in relay.execute("select value from outbox_events")]
    assert [(one["code"], one["details"]["to"]) for one in warnings if one.get("code") == "records_skipped"] == [
        ("records_skipped", newer.offset + 1)
    ]
