"""What came of events in each sink, compared with what was committed: all of it, once."""

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from psycopg import Connection
from psycopg.rows import DictRow

import consumers.sinks
from consumers.sink import Sink, registry
from moneyflow.audit.verify import verify
from moneyflow.platform.brokers.kafka import client_options, topic_name
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.crm import RESYNC_REFUSED, RunningCrm, differences
from tests.support.waiting import eventually

#: The ids of the audit log against those of every committed event.
_AUDIT = """
select 'event ' || id || ' is not in the audit log' as fault from emitted
where id::text not in (select id from audit.events)
union all select 'event ' || id || ' was never committed' from audit.events
where id not in (select id::text from emitted)
union all select 'event ' || id || ' is in the audit log twice' from audit.events group by id having count(*) > 1
"""
#: The sums of analytics against those of the tables.
_ANALYTICS = """
with found as (
    select user_id, day, currency, category_id, income, expense from analytics.daily_sums
    where generation = (select current from analytics.generations where part = 'money')
      and (income, expense) <> (0, 0)
), source as (
    select user_id, date as day, currency, coalesce(category_id, '00000000-0000-0000-0000-000000000000') as category_id,
        coalesce(sum(amount) filter (where kind = 'income'), 0) as income,
        coalesce(sum(amount) filter (where kind = 'expense'), 0) as expense
    from transactions where deleted_at is null group by 1, 2, 3, 4
)
(select 'not in analytics: ' || source::text as fault from source where source not in (select found from found))
union all (select 'in analytics alone: ' || found::text from found where found not in (select source from source))
"""
Judge = Callable[[AllSettings, "Connection[DictRow]"], list[str]]


def is_read(sink: Sink, settings: AllSettings, connection: "Connection[DictRow]") -> bool:
    """Say whether all events are published, and the sink has read them."""
    if connection.execute("select 1 from outbox_events limit 1").fetchone():
        return False
    rows = connection.execute(f"select topic, partition, next_offset from {sink.schema}.positions").fetchall()
    read = {(row["topic"], row["partition"]): row["next_offset"] or 0 for row in rows}
    return all(read.get(place, 0) >= end for place, end in _ends(sink, settings).items())


def in_the_end(found: Callable[[], list[str]]) -> list[str]:
    """Return what is still wrong after two minutes: processes report their health and their errors all the while."""
    try:
        eventually(lambda: not found(), seconds=120)
    except AssertionError:
        return found()
    return []


def judge_audit(settings: AllSettings, connection: "Connection[DictRow]") -> list[str]:
    """Return what is wrong with the audit log: an event that is missing, twice or unknown, or a chain."""
    faults = [row["fault"] for row in connection.execute(_AUDIT).fetchall()]
    database = Database(settings.conninfo("audit", application_name="test"), size=1)
    database.open()
    try:
        with database.transaction() as session:
            faults += [f"the audit log's chain: {chain.fault}" for chain in verify(session) if chain.fault]
    finally:
        database.close()
    return faults


def judge_analytics(_: AllSettings, connection: "Connection[DictRow]") -> list[str]:
    """Return the sums of analytics that differ from those of the tables."""
    return [row["fault"] for row in connection.execute(_ANALYTICS).fetchall()]


def judge_crm(running: RunningCrm, connection: "Connection[DictRow]") -> list[str]:
    """Have those sent again whom a fault has refused, wait for the sender, and return how the CRM differs from us."""

    def found() -> list[str]:
        connection.execute(RESYNC_REFUSED)
        return differences(running, lambda query: connection.execute(query).fetchall())

    return in_the_end(found)


#: The sinks of the product that need nothing but Postgres to be judged; `crm` is judged by its CRM.
JUDGES: dict[str, Judge] = {"audit": judge_audit, "analytics": judge_analytics}


def sinks() -> list[Sink]:
    """Return the sinks of the product."""
    assert consumers.sinks, "the import declares them"
    return [registry[name]() for name in (*JUDGES, "crm")]


def _ends(sink: Sink, settings: AllSettings) -> dict[tuple[str, int], int]:
    async def ask() -> dict[tuple[str, int], int]:
        async with AIOKafkaConsumer(**client_options(settings, "migrate")) as client:
            partitions = {
                TopicPartition(topic_name(settings, topic), number): (topic, number)
                for topic in sink.topics
                for number in range(settings.kafka_num_partitions)
            }
            ends = await client.end_offsets(list(partitions))
            return {partitions[partition]: end for partition, end in ends.items()}

    return asyncio.run(ask())
