"""Analytics in a schema of its own: sums of money, the funnel of people, counts of days; and their rebuilds."""

from alembic import context, op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_TABLES = """
create schema analytics;

create table analytics.positions (
    topic text not null,
    partition integer not null,
    next_offset bigint,
    epoch bigint not null,
    gap text,
    primary key (topic, partition)
);

create table analytics.progress (
    topic text not null,
    partition integer not null,
    event_time timestamptz,
    caught_up_at timestamptz,
    primary key (topic, partition)
);

create table analytics.generations (
    part text primary key constraint generations_part_check check (part in ('money', 'people')),
    current integer not null,
    filling integer
);
insert into analytics.generations (part, current) values ('money', 1), ('people', 1);

create table analytics.transactions (
    generation integer not null,
    user_id uuid not null,
    id uuid not null,
    sequence bigint not null,
    kind text,
    amount numeric,
    currency text,
    date date,
    category_id uuid,
    primary key (generation, user_id, id)
);
create index transactions_deleted_idx on analytics.transactions (generation, user_id, id) where amount is null;

create table analytics.daily_sums (
    generation integer not null,
    user_id uuid not null,
    day date not null,
    currency text not null,
    category_id uuid not null,
    income numeric not null,
    expense numeric not null,
    transactions bigint not null,
    primary key (generation, user_id, day, currency, category_id)
) with (fillfactor = 80);

create table analytics.monthly_sums (
    generation integer not null,
    user_id uuid not null,
    month date not null,
    currency text not null,
    category_id uuid not null,
    income numeric not null,
    expense numeric not null,
    transactions bigint not null,
    primary key (generation, user_id, month, currency, category_id)
) with (fillfactor = 80);

create table analytics.erased_users (
    token uuid primary key
);

create table analytics.people (
    generation integer not null,
    token uuid not null,
    signed_up date,
    activated date,
    first_transaction date,
    primary key (generation, token)
);

create table analytics.counted (
    generation integer not null,
    day date not null,
    token uuid not null,
    primary key (generation, day, token)
);

create table analytics.day_counts (
    generation integer not null,
    day date not null,
    what text not null,
    count bigint not null,
    primary key (generation, day, what)
);

create table analytics.rebuilds (
    id uuid primary key,
    source text not null constraint rebuilds_source_check check (source in ('log', 'tables')),
    state text not null constraint rebuilds_state_check check (state in ('filling', 'swapped', 'ended', 'cancelled')),
    generation integer not null,
    asked_by text not null,
    reason text not null,
    begun_after jsonb not null,
    cursor jsonb not null default '{}',
    rows_read bigint not null default 0,
    rows_skipped bigint not null default 0,
    sums_corrected bigint,
    started_at timestamptz not null default clock_timestamp(),
    swapped_at timestamptz,
    ended_at timestamptz
);
create unique index rebuilds_filling_key on analytics.rebuilds (state) where state = 'filling';
"""

_VIEWS = """
create view analytics.funnel as
select signed_up as day, count(*) as signed_up, count(activated) as activated,
    count(first_transaction) as with_transaction
from analytics.people
where generation = (select current from analytics.generations where part = 'people') and signed_up is not null
group by 1;

create view analytics.days as
select day, what, count from analytics.day_counts
where generation = (select current from analytics.generations where part = 'people');
"""

# The sink and the rebuild run as one role. Of the tables that the rebuild reads it sees no note and no tag, and nothing
# else that the events do not carry.
_GRANTS = """
grant usage on schema analytics to {analytics}, {app}, {worker}, {operator};
grant select, insert, update on analytics.positions, analytics.progress, analytics.rebuilds to {analytics};
grant select, update on analytics.generations to {analytics};
grant select, insert on analytics.erased_users to {analytics};
grant select, insert, update, delete on analytics.transactions, analytics.daily_sums, analytics.monthly_sums,
    analytics.people, analytics.counted, analytics.day_counts to {analytics};
grant select (id, user_id, kind, amount, currency, date, category_id, version, deleted_at) on transactions
    to {analytics};
grant select on analytics.daily_sums, analytics.monthly_sums, analytics.generations, analytics.progress to {app};
grant select (sequence, created_at) on outbox_events to {app};
grant select on analytics.generations to {worker};
grant select, delete on analytics.counted to {worker};
grant select on analytics.funnel, analytics.days to {operator};
"""

_OF_THE_AUDIT_LOG = """
set local role {audit_owner};
grant usage on schema audit to {analytics};
grant select (topic, partition, position, kafka_offset, value) on audit.events to {analytics};
grant select on audit.chains, audit.positions to {analytics};
reset role;
"""

_DOWN = """
drop schema analytics cascade;
revoke select (sequence, created_at) on outbox_events from {app};
revoke select (id, user_id, kind, amount, currency, date, category_id, version, deleted_at) on transactions
    from {analytics};
set local role {audit_owner};
revoke all on audit.events, audit.chains, audit.positions from {analytics};
revoke usage on schema audit from {analytics};
reset role;
"""


def upgrade() -> None:
    """Make the schema and say what each role may do."""
    roles = context.config.attributes["roles"]
    op.execute(_TABLES)
    op.execute(_VIEWS)
    op.execute(_GRANTS.format(**roles))
    op.execute(_OF_THE_AUDIT_LOG.format(**roles))


def downgrade() -> None:
    """Drop all of it; the events and the tables that it was made from stay."""
    op.execute(_DOWN.format(**context.config.attributes["roles"]))
