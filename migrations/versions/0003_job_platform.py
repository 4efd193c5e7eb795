"""Limits, pauses, batches, schedules, cancellation, progress and what operators did: the whole job platform."""

from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_JOBS = """
create table batches (
    id uuid primary key,
    name text not null,
    on_failure text not null constraint batches_on_failure_check check (on_failure in ('continue', 'wait', 'cancel')),
    state text not null default 'open' constraint batches_state_check check (state in ('open', 'ended', 'cancelled')),
    sealed boolean not null default false,
    end_job_id uuid,
    counts jsonb,
    cancel_reason text,
    created_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz
);
create index batches_open_idx on batches (id) where state = 'open';
create unique index batches_end_job_id_key on batches (end_job_id);

alter table jobs
    add column limit_name text,
    add column limit_key text not null default '',
    add column held boolean not null default false,
    add column unique_until timestamptz,
    add column unique_while_unfinished boolean not null default false,
    add column batch_id uuid,
    add column cancel_requested_at timestamptz,
    add column parked_reason text,
    add column progress jsonb,
    add column error_class text,
    add column error_message text,
    add column error_group text;

create table job_files (
    id uuid primary key,
    job_id uuid not null constraint job_files_job_id_key unique references jobs on delete cascade,
    name text not null,
    content_type text not null,
    size bigint not null,
    sha256 text not null,
    content bytea not null,
    created_at timestamptz not null default clock_timestamp()
);
alter table job_files alter column content set storage external;

drop index jobs_running_idx;
create index jobs_running_idx on jobs (worker) where worker is not null;
drop index jobs_due_idx;
create index jobs_due_idx on jobs (kind, priority, due_at) where state in ('scheduled', 'retrying') and not held;
create index jobs_held_idx on jobs (limit_name, limit_key, priority desc, due_at)
    where held and state in ('scheduled', 'retrying');
create index jobs_admitted_idx on jobs (limit_name, limit_key)
    where limit_name is not null and not held and state in ('scheduled', 'queued', 'running', 'retrying');
create index jobs_batch_idx on jobs (batch_id, state) where batch_id is not null;
create index jobs_failed_idx on jobs (kind, error_class, error_group, finished_at) where state = 'failed';

alter table job_attempts set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

create table job_starts (
    limit_name text not null,
    started_at timestamptz not null default clock_timestamp()
);
create index job_starts_idx on job_starts (limit_name, started_at);

create table job_kinds (
    kind text primary key,
    paused_at timestamptz,
    paused_by text,
    pause_reason text,
    probe_job_id uuid,
    probe_at timestamptz,
    probe_wait_seconds double precision
);

create table event_sequences (
    key text primary key,
    sequence bigint not null
);
"""

_OPERATIONS = """
create table operations (
    id uuid primary key,
    verb text not null constraint operations_verb_check check (verb in ('replay', 'discard', 'restore')),
    asked_by text not null,
    reason text,
    filter jsonb not null,
    rate_per_second double precision,
    canary integer,
    canary_ended_at timestamptz,
    paced_until timestamptz,
    state text not null default 'open' constraint operations_state_check check (state in ('open', 'stopped', 'ended')),
    items integer not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz
);
create index operations_created_idx on operations (created_at);

create table operation_items (
    operation_id uuid not null references operations on delete cascade,
    position integer not null,
    job_id uuid,
    fence bigint,
    message jsonb,
    result text,
    detail text,
    done_at timestamptz,
    primary key (operation_id, position)
) with (fillfactor = 70);
create index operation_items_job_idx on operation_items (job_id);
"""

_SCHEDULES = """
create table schedules (
    name text primary key,
    kind text not null,
    cron text not null,
    time_zone text not null,
    overlap text not null,
    catch_up text not null,
    next_tick_at timestamptz not null,
    last_tick_at timestamptz,
    last_job_id uuid,
    skipped bigint not null default 0,
    missed bigint not null default 0,
    paused_at timestamptz,
    paused_by text,
    pause_reason text,
    removed_at timestamptz
);
grant select, update, delete on schedules to {app};
grant select, insert, update on schedules to {relay};
"""

_GRANTS = """
grant select, insert on job_files to {app};
grant select, insert, update, delete on batches, job_kinds, job_starts, event_sequences to {app};
grant select, insert, update on operations, operation_items to {app};
grant select, update on batches to {relay};
grant insert on jobs to {relay};
grant insert on outbox_events to {relay};
grant select, delete on job_starts to {relay};
grant select, insert, update on job_kinds, event_sequences to {relay};
"""

_DOWN = """
alter table job_attempts reset (autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor);
drop index jobs_due_idx, jobs_held_idx, jobs_admitted_idx, jobs_batch_idx, jobs_failed_idx;
alter table jobs
    drop column limit_name, drop column limit_key, drop column held, drop column unique_until,
    drop column unique_while_unfinished, drop column batch_id, drop column cancel_requested_at,
    drop column parked_reason, drop column progress, drop column error_class, drop column error_message,
    drop column error_group;
create index jobs_due_idx on jobs (priority desc, due_at) where state in ('scheduled', 'retrying');
drop index jobs_running_idx;
create index jobs_running_idx on jobs (worker) where state = 'running';
drop table event_sequences, job_files, job_kinds, job_starts, batches, operation_items, operations;
"""


def upgrade() -> None:
    """Make the tables and columns, and say which role may do what."""
    op.execute(_JOBS)
    op.execute(_OPERATIONS)
    op.execute(_SCHEDULES.format(**context.config.attributes["roles"]))
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop all of it."""
    op.execute("drop table schedules")
    op.execute(_DOWN)
