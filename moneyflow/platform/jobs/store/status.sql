-- name: job_status
-- The status of a job, for its owner, for administrators and, where an anonymous request left it, for strangers, who see
-- `is_done` alone.
select id, kind, <<shown_state>> as state, attempt, enqueued_at, <<shown_due_at>> as due_at, started_at, finished_at,
    progress, result, error_class, waits_for, not <<unfinished>> as has_ended,
    anonymous and not %(sees_all)s as is_for_strangers, <<done_for_strangers>> as is_done,
    least(greatest(ceil(extract(epoch from due_at) - extract(epoch from clock_timestamp())), 0), 60)::int as due_in_seconds
from jobs where id = %(id)s and (owner_id = %(owner_id)s or anonymous or %(sees_all)s);

-- name: endings
-- Whether jobs have ended, as their owners and as strangers see it.
select id, not <<unfinished>> as has_ended, <<done_for_strangers>> as is_done from jobs where id = any(%(ids)s);

-- name: job
-- A job's whole row.
select *, <<shown_state>> as shown_state, <<shown_due_at>> as shown_due_at from jobs where id = %(id)s;

-- name: attempts
-- A job's attempts, the oldest first.
select fence, attempt, worker, started_at, ended_at, outcome, error_class, error_message, error_traceback
from job_attempts where job_id = %(id)s order by fence;

-- name: operations
-- The operations that acted on a job, in their order.
select operation.id, verb, asked_by, reason, result, detail, done_at
from operation_items item join operations operation on operation.id = item.operation_id
where item.source in ('jobs', 'waiting_jobs') and item.item_id = %(id)s::text and item.result is not null order by done_at;

-- name: counts
-- Counts of unfinished and failed jobs by kind, priority and state, and the seconds for which the oldest has been due. Each
-- part reads its own index: a scan would read all finished jobs.
select kind, priority, state, sum(jobs)::bigint as jobs, sum(blocked)::bigint as blocked,
    (extract(epoch from clock_timestamp()) - extract(epoch from min(oldest_due_at)))::float as oldest_due_seconds
from (
    select kind, priority, <<scheduled_or_retrying>> as state, count(*) as jobs, 0 as blocked,
        min(due_at) filter (where due_at <= statement_timestamp()) as oldest_due_at
    from jobs where <<publishable>> group by 1, 2, 3
    union all
    select kind, priority, <<scheduled_or_retrying>>, count(*), count(*), null from jobs where <<waiting_for_limit>> group by 1, 2, 3
    union all
    select jobs.kind, priority, jobs.state, count(*), count(*), null
    from batches join jobs on jobs.id = end_job_id
    where batches.state = 'open' and jobs.state = 'scheduled' and waits_for = 'batch' group by 1, 2, 3
    union all
    select kind, priority, state, count(*), 0, min(due_at) from jobs where state = 'queued' group by 1, 2, 3
    union all
    select kind, priority, state, count(*), 0, null from jobs where state = 'running' and worker is not null group by 1, 2, 3
    union all
    select kind, priority, state, count(*), 0, null from jobs where state = 'failed' group by 1, 2, 3
) parts
group by kind, priority, state order by kind, priority desc, state;

-- name: parked
-- Jobs that no worker could read when one last looked, by kind and reason, with the oldest of them.
select kind, parked_reason as reason, count(*) as jobs, min(enqueued_at) as oldest_enqueued_at,
    (array_agg(id order by id))[1] as oldest_id
from jobs where parked_reason is not null and <<unfinished>> group by 1, 2 order by 1, 3 desc;

-- name: parked_by_kind
-- Counts of parked jobs.
select kind, count(*) as jobs from jobs where parked_reason is not null and <<unfinished>> group by 1;

-- name: jobs_in_state
-- Counts of unfinished and failed jobs by kind and state. Each part reads its own index, as above.
select kind, state, sum(jobs)::bigint as jobs from (
    select kind, <<scheduled_or_retrying>> as state, count(*) as jobs from jobs where <<publishable>> group by 1, 2
    union all
    select kind, <<scheduled_or_retrying>>, count(*) from jobs where <<waiting_for_limit>> group by 1, 2
    union all
    select jobs.kind, 'scheduled', count(*) from batches join jobs on jobs.id = end_job_id
    where batches.state = 'open' and jobs.state = 'scheduled' and waits_for = 'batch' group by 1
    union all
    select kind, 'queued', count(*) from jobs where state = 'queued' group by 1
    union all
    select kind, 'running', count(*) from jobs where state = 'running' and worker is not null group by 1
    union all
    select kind, 'failed', count(*) from jobs where state = 'failed' group by 1
) parts group by kind, state;

-- name: oldest_due
-- Seconds for which the oldest job of each kind and priority has been due, and whether the kind is paused. Jobs of paused
-- kinds count, under a limit too; other jobs that wait for a place under their limit do not. PERF: one index lookup for
-- each kind and priority, as for due jobs.
with recursive <<kinds_that_wait>>, due as (
    select kinds.kind, level.priority, found.due_at from kinds, generate_series(10, 0, -1) as level (priority), lateral (
        select due_at from jobs where jobs.kind = kinds.kind and jobs.priority = level.priority and <<publishable>>
        order by due_at limit 1
    ) found
    union all
    select paused.kind, level.priority, found.due_at
    from <<paused_kinds>> paused, generate_series(10, 0, -1) as level (priority), lateral (
        select due_at from jobs where jobs.kind = paused.kind and jobs.priority = level.priority and <<waiting_for_limit>>
        order by due_at limit 1
    ) found
    union all
    select kind, priority, due_at from jobs where state = 'queued'
)
select kind, priority, (extract(epoch from clock_timestamp()) - extract(epoch from min(due_at)))::float as seconds,
    kind in <<paused_kinds>> as is_paused
from due where due_at <= clock_timestamp() group by kind, priority;

-- name: outbox_age
-- Rows that the relay has to publish, and the age of the oldest in seconds.
select 'job' as kind, count(*) as rows,
    coalesce(extract(epoch from clock_timestamp()) - extract(epoch from min(due_at)), 0)::float as seconds
from jobs where <<publishable>> and due_at <= clock_timestamp() and kind not in <<paused_kinds>>
union all
select 'dead_letter', count(*),
    coalesce(extract(epoch from clock_timestamp()) - extract(epoch from min(created_at)), 0)::float
from job_dead_letters;
