"""The sink daily_sign_ups: count the people who signed up on each day."""

from alembic import context, op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_UP = """
create schema daily_sign_ups;

create table daily_sign_ups.sign_ups (
    event_id text primary key,
    day date not null
);
create index sign_ups_day_idx on daily_sign_ups.sign_ups (day);

create view daily_sign_ups.days as select day, count(*) as sign_ups from daily_sign_ups.sign_ups group by day;

-- Of every sink: where it is in each partition.
create table daily_sign_ups.positions (
    topic text not null,
    partition integer not null,
    next_offset bigint,
    epoch bigint not null,
    gap text,
    primary key (topic, partition)
);
"""

# The sink's own tables, and the table of dead letters of all sinks.
_GRANTS = """
grant usage on schema daily_sign_ups, public to {daily_sign_ups};
grant select, insert, update on all tables in schema daily_sign_ups to {daily_sign_ups};
grant select, insert,
    update (state, error_class, error_message, failed_at, attempts, due_at, due_by, resolved_at)
    on event_dead_letters to {daily_sign_ups};
"""


def upgrade() -> None:
    """Create the schema, and grant the rights on it."""
    op.execute(_UP)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop it; the events are in Kafka for as long as it keeps them."""
    roles = context.config.attributes["roles"]
    op.execute("drop schema daily_sign_ups cascade")
    op.execute("revoke all on event_dead_letters from {daily_sign_ups}".format(**roles))
    op.execute("revoke usage on schema public from {daily_sign_ups}".format(**roles))
