"""A sink of the tests: a row for each record in a table without any constraint, so that a second one is seen."""

import os
import time
from collections import Counter
from collections.abc import Sequence

import psycopg
import structlog

from consumers.sink import Batch, Record, sink
from moneyflow.events.topics import USER_EVENTS
from moneyflow.platform.database import Session
from moneyflow.platform.errors import PoisonError, UnknownVersionError
from moneyflow.settings import AllSettings

log = structlog.get_logger(__name__)

#: The value of a record that only a newer version of the sink reads, and of one that a bug of it calls bad.
NEWER, REFUSED = b"newer", b"refused"

_TABLES = """
create schema tally;
create table tally.records (partition integer, kafka_offset bigint, at timestamptz default clock_timestamp());
create table tally.positions (topic text, partition integer, next_offset bigint, epoch bigint, gap text,
                              primary key (topic, partition));
grant usage on schema tally to audit;
grant select, insert, update on all tables in schema tally to audit;
grant usage on schema tally to operator;
grant select, update (next_offset, epoch, gap) on tally.positions to operator;
"""


@sink("tally")
class TallySink:
    """Counts; writes as slowly as TALLY_SECONDS says, and knows newer records only with TALLY_IS_NEWER.

    With TALLY_IS_MENDED it writes what it refuses else; it fills its batches for TALLY_BATCH_SECONDS.
    """

    name = "tally"
    role = "audit"
    schema = "tally"
    topics: Sequence[str] = (USER_EVENTS,)
    batch = Batch(records=5000, seconds=float(os.environ.get("TALLY_BATCH_SECONDS", "0")))

    def write(self, session: Session, records: Sequence[Record]) -> int:
        for record in records:
            if record.value == NEWER and "TALLY_IS_NEWER" not in os.environ:
                raise UnknownVersionError("a newer producer wrote it: deploy a version that knows it, and it runs")
            if record.value == REFUSED and "TALLY_IS_MENDED" not in os.environ:
                raise PoisonError("it cannot be counted")
        session.execute(
            "insert into records (partition, kafka_offset) select %(partition)s, unnest(%(offsets)s::bigint[])",
            {"partition": records[0].partition, "offsets": [record.offset for record in records]},
        )
        log.info("tally_writing")
        time.sleep(float(os.environ.get("TALLY_SECONDS", "0")))
        return len(records)


def create_tables(settings: AllSettings) -> None:
    """Make the sink's tables in this test's database."""
    with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as connection:
        connection.execute(_TABLES)


def set_positions(settings: AllSettings, next_offset: int) -> None:
    """Put the sink somewhere else in every partition that it knows."""
    with psycopg.connect(settings.conninfo("audit", application_name="test"), autocommit=True) as connection:
        connection.execute("update tally.positions set next_offset = %s", (next_offset,))


def tallied(settings: AllSettings) -> Counter[tuple[int, int]]:
    """Count how often each record was written, by partition and offset."""
    with psycopg.connect(settings.conninfo("audit", application_name="test")) as connection:
        rows = connection.execute("select partition, kafka_offset from tally.records").fetchall()
    return Counter((row[0], row[1]) for row in rows)


def written_at(settings: AllSettings) -> list[tuple[int, float]]:
    """Return the partition of each record and when it was written, in seconds since 1970."""
    with psycopg.connect(settings.conninfo("audit", application_name="test")) as connection:
        rows = connection.execute("select partition, extract(epoch from at)::float from tally.records order by at")
        return [(row[0], row[1]) for row in rows.fetchall()]


def count(settings: AllSettings) -> int:
    """Return how many records were written."""
    with psycopg.connect(settings.conninfo("audit", application_name="test")) as connection:
        row = connection.execute("select count(*) from tally.records").fetchone()
    assert row is not None
    return int(row[0])


def in_order(settings: AllSettings) -> bool:
    """Return whether the records of each partition were written in the order of their offsets."""
    with psycopg.connect(settings.conninfo("audit", application_name="test")) as connection:
        rows = connection.execute("select partition, kafka_offset from tally.records order by partition, at, ctid")
        found = [(row[0], row[1]) for row in rows.fetchall()]
    return found == sorted(found)
