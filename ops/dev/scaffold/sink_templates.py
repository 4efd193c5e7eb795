"""The texts of a new sink's files; `$…` are filled in by `sink.py`."""

from string import Template

SINK = Template('''\
"""`$name`: $does."""

from collections.abc import Sequence
from pathlib import Path

from consumers.sink import Record, sink
from $event_module import $event
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@sink("$name")
class ${class_name}Sink:
    """$does_begun."""

    name = role = schema = "$name"
    topics: Sequence[str] = ($event.topic,)

    def write(self, session: Session, records: Sequence[Record]) -> int:
        """Add the events whose ids are not here yet; other types on the topic are done with as they are."""
        envelopes = [record.envelope for record in records]
        events = [event for event in envelopes if event.type == $event.type]
        for event in events:
            $event.from_envelope(event)  # Raises PoisonError for data that is no $event_type.
        rows = {"ids": [event.id for event in events], "times": [event.time for event in events]}
        return session.count_rows(_QUERIES["add"], rows) + len(records) - len(events)
''')

QUERIES = Template("""\
-- name: add
-- Add the events that are not here yet: one that comes again changes nothing.
insert into events (id, time)
select id, time from unnest(%(ids)s::text[], %(times)s::timestamptz[]) as new (id, time)
on conflict (id) do nothing;
""")

MODELS = Template('''\
"""Tables of the sink `$name`."""

from datetime import datetime

from sqlmodel import Field, SQLModel, Text

from moneyflow.platform.columns import moment
from moneyflow.platform.events.models import positions_table

_SCHEMA = "$name"


class ${class_name}Event(SQLModel, table=True):
    """An event that was read, by its id."""

    __tablename__ = "events"
    __table_args__ = {"schema": _SCHEMA}

    id: str = Field(primary_key=True, sa_type=Text)
    time: datetime = moment()


positions_table(_SCHEMA)
''')

MIGRATION = Template('''\
"""The sink $name: $does."""

from alembic import context, op

revision = "$revision"
down_revision = "$head"
branch_labels = None
depends_on = None

_UP = """
create schema $name;

create table $name.events (
    id text primary key,
    time timestamptz not null
);

-- Of every sink: where it is in each partition.
create table $name.positions (
    topic text not null,
    partition integer not null,
    next_offset bigint,
    epoch bigint not null,
    gap text,
    primary key (topic, partition)
);
"""

# The sink's own tables, and the table of dead letters of all sinks; operators skip and rewind.
_GRANTS = """
grant usage on schema $name, public to {$name};
grant select, insert, update on all tables in schema $name to {$name};
grant select, insert,
    update (state, error_class, error_message, error_group, failed_at, attempts, due_at, due_by, resolved_at)
    on event_dead_letters to {$name};
grant usage on schema $name to {operator};
grant select, update (next_offset, epoch, gap) on $name.positions to {operator};
"""


def upgrade() -> None:
    """Create the schema, and grant the rights on it."""
    op.execute(_UP)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop it; the events are in Kafka for as long as it keeps them."""
    roles = context.config.attributes["roles"]
    op.execute("drop schema $name cascade")
    op.execute("revoke all on event_dead_letters from {$name}".format(**roles))
    op.execute("revoke usage on schema public from {$name}".format(**roles))
''')

TEST = Template('''\
"""The sink `$name` passes the conformance suite of sinks."""

from uuid import UUID

from consumers.sink import Record
from consumers.sinks.$name import ${class_name}Sink
from $event_module import $event
from moneyflow.platform.database import Session
from tests.support.event_records import bad_record, record_of
from tests.support.sink_conformance import SinkConformance


class Test${class_name}Sink(SinkConformance):
    sink = ${class_name}Sink()
    keeps_order = False

    def good(self, offset: int) -> Record:
        return record_of($event, offset=offset)

    def bad(self, offset: int) -> Record:
        return bad_record($event, offset=offset)

    def written(self, session: Session) -> list[int]:
        return [UUID(row["id"]).int for row in session.fetch_all("select id from events")]
''')

SERVICE = Template("""\
  consumer-$name:
    <<: *app
    command: ["python", "-m", "consumers", "$name"]
    environment:
      <<: [*process, *postgres, *kafka]
      CONSUMER_METRICS_PORT: "9193"
      POSTGRES_${upper}_USER:
      POSTGRES_${upper}_PASSWORD: $${POSTGRES_${upper}_PASSWORD:?set it in .env}
      KAFKA_${upper}_USER:
      KAFKA_${upper}_PASSWORD: $${KAFKA_${upper}_PASSWORD:?set it in .env}
    healthcheck:
      <<: *ready
      test: ["CMD", "python", "-IS", "/usr/local/share/money-flow/ready.py", "9193"]
""")
