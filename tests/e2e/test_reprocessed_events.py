"""A record that one sink cannot write: once the sink is mended, it is reprocessed for that sink alone, once."""

import uuid
from collections import Counter

import orjson
import psycopg

from moneyflow.events.topics import USER_EVENTS
from moneyflow.settings import AllSettings
from tests.support import tally
from tests.support.failures import moneyflow, moneyflow_process
from tests.support.kafka_records import everything_in, produce
from tests.support.processes import Processes
from tests.support.waiting import eventually


def _event() -> bytes:
    attributes = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/x", "type": "user.x", "subject": "s"}
    return orjson.dumps(attributes | {"time": "2026-01-01T00:00:00Z"})


def _audited(settings: AllSettings) -> Counter[int]:
    with psycopg.connect(settings.conninfo("audit", application_name="test")) as connection:
        rows = connection.execute("select kafka_offset from audit.events").fetchall()
    return Counter(row[0] for row in rows)


def test_a_poison_record_among_thousands_is_set_aside_and_written_after_the_fix_once_for_its_sink_alone(
    topics: AllSettings, environment: dict[str, str], processes: Processes
) -> None:
    tally.create_tables(topics)
    produce(topics, USER_EVENTS, [(b"one-key", _event()) for _ in range(300)])
    produce(topics, USER_EVENTS, [(b"one-key", tally.REFUSED)])
    produce(topics, USER_EVENTS, [(b"one-key", _event()) for _ in range(300)])
    bad = next(record for record in everything_in(topics, USER_EVENTS) if record.value == tally.REFUSED)
    broken, audit = processes.consumer("tally"), processes.consumer("audit")
    eventually(lambda: tally.count(topics) == 600, what="the others are written")
    eventually(lambda: sum(_audited(topics).values()) == 600, what="the audit log has the others too")
    (group,) = moneyflow(environment, "events", "dead-letter", "groups", "--sink", "tally", "--json").json["groups"]

    broken.stop()
    processes.consumer("tally", TALLY_IS_MENDED="1")
    operators = [
        moneyflow_process(environment, "events", "dead-letter", "reprocess", group["sample_id"], "--reason",
                          "the sink is mended", "--by", name, "--json")
        for name in ("ada", "eve")
    ]  # fmt: skip
    reports = [orjson.loads(operator.communicate(timeout=60)[0]) for operator in operators]

    results = sum((Counter(report["results"]) for report in reports), Counter[str]())
    assert (group["dead_letters"], group["error_class"]) == (1, "PoisonError")
    assert results == {"reprocessed": 1, "already done": 1}
    assert Counter(tally.tallied(topics).values()) == {1: 601}
    assert tally.tallied(topics)[bad.partition, bad.offset] == 1
    others = moneyflow(environment, "events", "dead-letter", "list", "--sink", "audit", "--json").json
    assert [(one["kafka_offset"], one["attempts"]) for one in others["dead_letters"]] == [(bad.offset, 1)]
    assert sum(_audited(topics).values()) == 600
    assert audit.get("/healthz").status_code == 200
