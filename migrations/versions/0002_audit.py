"""The audit log in a schema of its own; its role can add to it and never change or delete what is there."""

from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = """
create schema audit;

create table audit.events (
    topic text not null,
    partition integer not null,
    position bigint not null,
    kafka_offset bigint not null,
    id text not null,
    type text not null,
    subject text not null,
    time timestamptz not null,
    actor_id text,
    correlation_id text,
    key bytea,
    value bytea not null,
    previous_hash bytea not null,
    hash bytea not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (topic, partition, position)
);
create unique index events_id_key on audit.events (id);
create index events_subject_idx on audit.events (subject, time);

create table audit.chains (
    topic text not null,
    partition integer not null,
    height bigint not null,
    head_hash bytea not null,
    primary key (topic, partition)
);

create table audit.positions (
    topic text not null,
    partition integer not null,
    next_offset bigint,
    epoch bigint not null,
    gap text,
    primary key (topic, partition)
);
"""

_GRANTS = """
grant usage on schema audit to {audit};
grant select, insert on audit.events to {audit};
grant select, insert, update on audit.chains, audit.positions to {audit};
"""


def upgrade() -> None:
    """Make the schema and say what its role may do."""
    op.execute(_TABLES)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop all of it."""
    op.execute("drop table audit.positions, audit.chains, audit.events")
    op.execute("drop schema audit")
