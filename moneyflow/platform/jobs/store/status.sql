-- name: job_status
-- State, times, progress and outcome of a job.
select id, state, attempt, enqueued_at, due_at, started_at, finished_at, progress, result, error_class, error_message
from jobs where id = %(id)s;

-- name: job
-- All of a job's row.
select * from jobs where id = %(id)s;

-- name: attempts
-- A job's tries in their order.
select fence, attempt, worker, started_at, ended_at, outcome, error_class, error_message, error_traceback
from job_attempts where job_id = %(id)s order by fence;

-- name: operations
-- What operators did to a job, in its order.
select operation.id, verb, asked_by, reason, result, detail, done_at
from operation_items item join operations operation on operation.id = item.operation_id
where item.job_id = %(id)s and item.result is not null order by done_at;

-- name: find
-- Jobs of a state and a kind, or of any, the newest first.
select id, kind, state, priority, attempt, max_attempts, enqueued_at, due_at, started_at, finished_at, held, batch_id,
    parked_reason, error_class, error_message
from jobs
where (%(state)s::text is null or state = %(state)s) and (%(kind)s::text is null or kind = %(kind)s)
order by id desc limit %(limit)s;

-- name: standing
-- What waits, runs or has failed, by kind, priority and state; for how long the oldest should have been running.
select kind, priority, state, count(*) as jobs, count(*) filter (where held) as held,
    extract(epoch from clock_timestamp() - min(due_at) filter (
        where state <> 'failed' and state <> 'running' and not held and due_at <= clock_timestamp()
    ))::float as oldest_due_seconds
from jobs where state in ('scheduled', 'queued', 'running', 'retrying', 'failed')
group by kind, priority, state order by kind, priority desc, state;

-- name: jobs_in_state
-- How many jobs are in each unfinished state: each part by the index that has it, for the finished ones are many.
select state, count(*) as jobs from (
    select state from jobs where state in ('scheduled', 'retrying') and not held
    union all
    select state from jobs where state in ('scheduled', 'retrying') and held
    union all
    select state from jobs where state = 'queued'
    union all
    select state from jobs where state = 'running' and worker is not null
) unfinished group by state;

-- name: oldest_due
-- The age of the oldest job that should have been running, by priority. What a pause or a limit holds does not count.
select priority, extract(epoch from clock_timestamp() - min(due_at))::float as seconds from (
    select kind, priority, due_at from jobs
    where state in ('scheduled', 'retrying') and not held and due_at <= clock_timestamp()
    union all
    select kind, priority, due_at from jobs where state = 'queued' and not held and due_at <= clock_timestamp()
) due
where kind not in (select kind from job_kinds where paused_at is not null)
group by priority;

-- name: outbox_age
-- How many rows of the job store wait for the relay, and for how long the oldest one has.
select 'job' as kind, count(*) as rows,
    coalesce(extract(epoch from clock_timestamp() - min(due_at)), 0)::float as seconds
from jobs where state in ('scheduled', 'retrying') and not held and due_at <= clock_timestamp()
  and kind not in (select kind from job_kinds where paused_at is not null)
union all
select 'dead_letter', count(*), coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float
from job_dead_letters;
