"""Job states: `retrying` is derived, `waits_for` says why a job is not published, suspect is `quarantined`."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_UP = """
drop index jobs_due_idx, jobs_held_idx, jobs_admitted_idx;
alter table jobs drop constraint jobs_state_check;
alter table jobs rename column suspect to quarantined;
alter table jobs add column waits_for text constraint jobs_waits_for_check check (waits_for in ('limit', 'batch'));
update jobs set
    state = case when state = 'retrying' then 'scheduled' else state end,
    waits_for = case when not held then null
                     when id in (select end_job_id from batches where state = 'open') then 'batch' else 'limit' end,
    due_at = case when due_at >= '9999-01-01' then enqueued_at else due_at end
where state = 'retrying' or held;
alter table jobs drop column held;
alter table jobs add constraint jobs_state_check
    check (state in ('scheduled', 'queued', 'running', 'succeeded', 'failed', 'cancelled', 'discarded'));
create index jobs_due_idx on jobs (kind, priority, due_at) include (attempt)
    where state = 'scheduled' and waits_for is null;
create index jobs_waiting_for_limit_idx on jobs (limit_name, limit_key, priority desc, due_at)
    where state = 'scheduled' and waits_for = 'limit';
create index jobs_admitted_idx on jobs (limit_name, limit_key)
    where limit_name is not null and waits_for is null and state in ('scheduled', 'queued', 'running');
"""

_DOWN = """
drop index jobs_due_idx, jobs_waiting_for_limit_idx, jobs_admitted_idx;
alter table jobs drop constraint jobs_state_check;
alter table jobs rename column quarantined to suspect;
alter table jobs add column held boolean not null default false;
update jobs set
    state = case when state = 'scheduled' and attempt > 0 then 'retrying' else state end,
    held = waits_for is not null,
    due_at = case when waits_for = 'batch' then '9999-01-01'::timestamptz else due_at end
where waits_for is not null or state = 'scheduled' and attempt > 0;
alter table jobs drop column waits_for;
alter table jobs add constraint jobs_state_check
    check (state in ('scheduled', 'queued', 'running', 'retrying', 'succeeded', 'failed', 'cancelled', 'discarded'));
create index jobs_due_idx on jobs (kind, priority, due_at) where state in ('scheduled', 'retrying') and not held;
create index jobs_held_idx on jobs (limit_name, limit_key, priority desc, due_at)
    where held and state in ('scheduled', 'retrying');
create index jobs_admitted_idx on jobs (limit_name, limit_key)
    where limit_name is not null and not held and state in ('scheduled', 'queued', 'running', 'retrying');
"""


def upgrade() -> None:
    """Derive what can be derived."""
    op.execute(_UP)


def downgrade() -> None:
    """Store the state `retrying` and the flag `held` again."""
    op.execute(_DOWN)
