"""Users and their tokens, jobs with attempts and workers, the outbox, kept answers; and who may do what."""

from alembic import context, op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
create table users (
    id uuid primary key,
    email text not null,
    name text not null,
    password_hash text not null,
    version integer not null default 1,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    activated_at timestamptz
);
create unique index users_email_key on users (lower(email));

create table user_tokens (
    token_hash bytea primary key,
    user_id uuid not null references users on delete cascade,
    purpose text not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    used_at timestamptz
);
create index ix_user_tokens_user_id on user_tokens (user_id);

create table jobs (
    id uuid primary key,
    kind text not null,
    version smallint not null,
    priority smallint not null constraint jobs_priority_check check (priority between 0 and 10),
    payload jsonb not null,
    state text not null constraint jobs_state_check check (state in ('scheduled', 'queued', 'running', 'retrying',
        'succeeded', 'failed', 'cancelled', 'discarded')),
    due_at timestamptz not null,
    unique_key text,
    attempt integer not null default 0,
    max_attempts integer not null,
    time_limit_seconds integer not null,
    fence bigint not null default 0,
    worker integer,
    lease_until timestamptz,
    suspect boolean not null default false,
    correlation_id text,
    traceparent text,
    result jsonb,
    enqueued_at timestamptz not null default clock_timestamp(),
    published_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create index jobs_due_idx on jobs (priority desc, due_at) where state in ('scheduled', 'retrying');
create index jobs_queued_idx on jobs (published_at) where state = 'queued';
create index jobs_running_idx on jobs (worker) where state = 'running';
create unique index jobs_unique_key_key on jobs (unique_key) where unique_key is not null;

create table job_attempts (
    job_id uuid not null references jobs on delete cascade,
    fence bigint not null,
    attempt integer not null,
    worker text not null,
    started_at timestamptz not null,
    ended_at timestamptz not null default clock_timestamp(),
    outcome text not null,
    error_class text,
    error_message text,
    error_traceback text,
    primary key (job_id, fence)
);

create table job_dead_letters (
    id bigint generated always as identity primary key,
    job_id uuid not null references jobs on delete cascade,
    fence bigint not null,
    created_at timestamptz not null default clock_timestamp()
);
create index ix_job_dead_letters_job_id on job_dead_letters (job_id);

create table workers (
    number integer generated always as identity primary key,
    name text not null,
    lease_seconds double precision not null,
    started_at timestamptz not null default clock_timestamp(),
    heartbeat_at timestamptz not null default clock_timestamp()
);

create table outbox_events (
    sequence bigint generated always as identity primary key,
    id uuid not null,
    topic text not null,
    key text not null,
    value bytea not null,
    created_at timestamptz not null default clock_timestamp()
);

create table idempotency_keys (
    scope text not null,
    key text not null,
    body_hash bytea not null,
    status integer not null,
    headers jsonb not null,
    body bytea not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (scope, key)
);
"""

# A worker lives while it holds the advisory lock (19782, its number) and its heart beats within its lease. The lock
# goes with the connection at the moment the process is killed; the heartbeat tells of a process that is frozen.
_LIVE_WORKERS = """
create view live_workers as
select number from workers
where heartbeat_at > clock_timestamp() - make_interval(secs => lease_seconds)
  and number in (
    select objid::bigint::integer from pg_locks
    where locktype = 'advisory' and granted and classid = 19782 and objsubid = 2
      and database = (select oid from pg_database where datname = current_database()));
"""

_GRANTS = """
revoke create on schema public from public;
grant usage on schema public to {app}, {relay};
grant select, insert, update, delete on users, user_tokens, jobs, job_attempts, workers, idempotency_keys to {app};
grant insert on job_dead_letters, outbox_events to {app};
grant select on live_workers to {app}, {relay};
grant select, update on jobs to {relay};
grant select, insert on job_attempts to {relay};
grant select on workers to {relay};
grant select, delete on job_dead_letters, outbox_events to {relay};
"""


def upgrade() -> None:
    """Make the tables and say which role may do what."""
    op.execute(_TABLES)
    op.execute(_LIVE_WORKERS)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop all of it."""
    op.execute("drop view live_workers")
    op.execute(
        "drop table idempotency_keys, outbox_events, job_dead_letters, job_attempts, jobs, workers, user_tokens, users"
    )
