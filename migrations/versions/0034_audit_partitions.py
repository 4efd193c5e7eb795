"""The audit log in monthly partitions, append-only by trigger too; what seals a rewritten chain is called a seal.

The months are those of `recorded_at`, so the rows of a chain are in the order of the months, and an old month is the
beginning of each chain. An id is unique within its month; across months, the append looks for it.
"""

from alembic import context, op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_COLUMNS = """
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
"""

_SEALS = """
alter table audit.checkpoints rename to seals;
alter index audit.checkpoints_pkey rename to seals_pkey;
"""

_SET_ASIDE = """
lock table audit.events, audit.chains in access exclusive mode;
alter table audit.events rename to moved_events;
alter index audit.events_pkey rename to moved_events_pkey;
drop index audit.events_id_key, audit.events_subject_idx;
"""

_TABLE = f"""
create table audit.events ({_COLUMNS}
    primary key (topic, partition, position, recorded_at)
) partition by range (recorded_at);
create index events_subject_idx on audit.events (subject, time);
create index events_actor_id_idx on audit.events (actor_id, time) where actor_id is not null;
create index events_correlation_id_idx on audit.events (correlation_id) where correlation_id is not null;
create index events_type_idx on audit.events (type, time);
"""

_TRIGGERS = """
create function audit.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '%.% keeps its rows: they cannot be changed or deleted', tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege';
end $$;
create trigger refuse_truncate before truncate on audit.events execute function audit.refuse_truncate();
create trigger refuse_change before update or delete on audit.events
    for each row execute function audit.refuse_change();
create trigger refuse_change before update or delete on audit.seals
    for each row execute function audit.refuse_change();
create trigger refuse_delete before delete on audit.chains for each row execute function audit.refuse_change();
-- A chain grows: its head never moves back.
create trigger refuse_change before update on audit.chains for each row
    when (new.height < old.height or new.topic <> old.topic or new.partition <> old.partition)
    execute function audit.refuse_change();
"""

# A month is a table first and attached then: CREATE TABLE … PARTITION OF would lock out every reader and the append.
_PARTITIONS = """
create function audit.make_partition(month timestamptz) returns boolean language plpgsql
    set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
    name text := to_char(month, '"events_"YYYY_MM');
    until timestamptz := month + interval '1 month';
begin
    if to_regclass('audit.' || name) is not null
        or exists (select from audit.events_default where recorded_at >= month and recorded_at < until)
    then
        return false;  -- It is there, or its first rows are in the default partition, where the others follow them.
    end if;
    execute format('create table audit.%I (like audit.events including defaults)', name);
    perform audit.guard_partition(name);
    execute format('alter table audit.events attach partition audit.%I for values from (%L) to (%L)',
                   name, month, until);
    return true;
end $$;

create function audit.guard_partition(name text) returns void language plpgsql
    set search_path = pg_catalog, pg_temp as $$
begin
    execute format('create unique index %I on audit.%I (id)', name || '_id_key', name);
    execute format('create trigger refuse_truncate before truncate on audit.%I '
                   'execute function audit.refuse_truncate()', name);
    execute format('grant select on audit.%I to {owner}', name);  -- For backups.
end $$;

create function audit.make_partitions() returns integer language sql security definer
    set search_path = pg_catalog, pg_temp set timezone = 'UTC' set lock_timeout = '3s' as $$
    select count(*)::integer from generate_series(0, 3) ahead
    where audit.make_partition(date_trunc('month', clock_timestamp()) + make_interval(months => ahead))
$$;
revoke all on function audit.make_partition, audit.guard_partition, audit.make_partitions from public;

-- Rows of a month that has no partition: the append never fails for the lack of one.
create table audit.events_default partition of audit.events default;
select audit.guard_partition('events_default');
"""

_MOVE = """
set local timezone = 'UTC';
select audit.make_partition(month)
from audit.moved_events, date_trunc('month', recorded_at) month group by month order by month;
select audit.make_partitions();
insert into audit.events select * from audit.moved_events order by recorded_at, topic, partition, position;
drop table audit.moved_events;
"""

_GRANTS = """
grant select on audit.events to {owner};
grant select, insert on audit.events to {audit};
-- A worker signs the heads, which say nothing of the events, and makes the partitions; a command signs the heads too.
grant usage on schema audit to {worker}, {operator};
grant select on audit.chains to {worker}, {operator};
grant execute on function audit.make_partitions to {worker};
"""

_ONE_TABLE = f"create table audit.events ({_COLUMNS} primary key (topic, partition, position));"
_MOVE_BACK = """
insert into audit.events select * from audit.moved_events order by recorded_at, topic, partition, position;
create unique index events_id_key on audit.events (id);
create index events_subject_idx on audit.events (subject, time);
create trigger refuse_truncate before truncate on audit.events execute function audit.refuse_truncate();
grant select on audit.events to {owner};
grant select, insert on audit.events to {audit};
drop table audit.moved_events;
"""

_UNGUARD = """
drop function audit.make_partitions, audit.make_partition, audit.guard_partition;
drop trigger refuse_change on audit.seals;
drop trigger refuse_delete on audit.chains;
drop trigger refuse_change on audit.chains;
drop function audit.refuse_change cascade;
revoke select on audit.chains from {worker}, {operator};
revoke usage on schema audit from {worker}, {operator};
alter table audit.seals rename to checkpoints;
alter index audit.seals_pkey rename to checkpoints_pkey;
"""

_SET_PARTITIONS_ASIDE = """
lock table audit.events, audit.chains in access exclusive mode;
alter table audit.events rename to moved_events;
alter index audit.events_pkey rename to moved_events_pkey;
drop index audit.events_subject_idx, audit.events_actor_id_idx, audit.events_correlation_id_idx, audit.events_type_idx;
"""


def upgrade() -> None:
    """Move the rows into partitions; the audit role cannot append meanwhile."""
    roles = context.config.attributes["roles"]
    op.execute(f"set local role {roles['audit_owner']}")
    for statements in (_SEALS, _SET_ASIDE, _TABLE, _TRIGGERS, _PARTITIONS, _MOVE, _GRANTS):
        op.execute(statements.format(**roles))
    op.execute("reset role")


def downgrade() -> None:
    """Move the rows back into one table."""
    roles = context.config.attributes["roles"]
    op.execute(f"set local role {roles['audit_owner']}")
    for statements in (_SET_PARTITIONS_ASIDE, _ONE_TABLE, _MOVE_BACK, _UNGUARD):
        op.execute(statements.format(**roles))
    op.execute("reset role")
