"""Dead letters of events, of all sinks in one table: they outlive the retention of the topic."""

from alembic import context, op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_UP = """
create table event_dead_letters (
    id uuid primary key,
    sink text not null,
    topic text not null,
    partition integer not null,
    kafka_offset bigint not null,
    key bytea,
    value bytea,
    event_id text,
    event_type text,
    subject text,
    correlation_id text,
    state text not null constraint event_dead_letters_state_check
        check (state in ('dead', 'waiting', 'due', 'reprocessed', 'discarded')),
    error_class text,
    error_message text,
    failed_at timestamptz not null,
    attempts integer not null default 1,
    due_at timestamptz,
    due_by uuid,
    resolved_at timestamptz,
    constraint event_dead_letters_record_key unique (sink, topic, partition, kafka_offset)
);
-- What a consumer looks for each second: few rows, however many were resolved.
create index event_dead_letters_open_idx on event_dead_letters (sink, topic, partition, kafka_offset)
    where state in ('dead', 'waiting', 'due');
create index event_dead_letters_resolved_at_idx on event_dead_letters (resolved_at) where resolved_at is not null;
"""

# A sink writes from a schema of its own, in the transaction of its position. A lock of a row, as the retention rule
# takes it, needs the right to update a column of it.
_GRANTS = """
grant usage on schema public to {audit}, {analytics}, {crm};
grant select, insert,
    update (state, error_class, error_message, failed_at, attempts, due_at, due_by, resolved_at)
    on event_dead_letters to {audit}, {analytics}, {crm};
grant select, update (state, due_at, due_by, resolved_at) on event_dead_letters to {operator};
grant select (id, resolved_at), update (resolved_at), delete on event_dead_letters to {worker};
"""


def upgrade() -> None:
    """Create the table, and grant the rights on it."""
    op.execute(_UP)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop it; the dead letters are on their topic for as long as Kafka keeps them."""
    op.execute("drop table event_dead_letters")
    op.execute(
        "revoke usage on schema public from {audit}, {analytics}, {crm}".format(**context.config.attributes["roles"])
    )
