-- name: job_status
-- The status of a job.
select id, <<shown_state>> as state, attempt, enqueued_at, <<shown_due_at>> as due_at, started_at, finished_at, progress,
    result, error_class, error_message, waits_for
from jobs where id = %(id)s;

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
where item.source = 'jobs' and item.item_id = %(id)s::text and item.result is not null order by done_at;

-- name: find
-- Jobs, the newest first, of one state and kind where given.
select id, kind, <<shown_state>> as state, priority, attempt, max_attempts, enqueued_at, <<shown_due_at>> as due_at, started_at,
    finished_at, waits_for, batch_id, parked_reason, error_class, error_message
from jobs
where (%(state)s::text is null or <<shown_state>> = %(state)s) and (%(kind)s::text is null or kind = %(kind)s)
order by id desc limit %(limit)s;

-- name: counts
-- Counts of unfinished and failed jobs by kind, priority and state, and the seconds for which the oldest has been due. Each
-- part reads its own index: a scan would read all finished jobs.
select kind, priority, state, sum(jobs)::bigint as jobs, sum(blocked)::bigint as blocked,
    extract(epoch from clock_timestamp() - min(oldest_due_at))::float as oldest_due_seconds
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
-- Counts of unfinished jobs by state. Each part reads its own index, as above.
select state, sum(jobs)::bigint as jobs from (
    select <<scheduled_or_retrying>> as state, count(*) as jobs from jobs where <<publishable>> group by 1
    union all
    select <<scheduled_or_retrying>>, count(*) from jobs where <<waiting_for_limit>> group by 1
    union all
    select 'scheduled', count(*) from batches join jobs on jobs.id = end_job_id
    where batches.state = 'open' and jobs.state = 'scheduled' and waits_for = 'batch'
    union all
    select 'queued', count(*) from jobs where state = 'queued'
    union all
    select 'running', count(*) from jobs where state = 'running' and worker is not null
) unfinished where jobs > 0 group by state;

-- name: oldest_due
-- Seconds for which the oldest job of each priority has been due. Jobs of paused kinds or under a limit do not count.
select priority, extract(epoch from clock_timestamp() - min(due_at))::float as seconds from (
    select kind, priority, due_at from jobs where <<publishable>> and due_at <= clock_timestamp()
    union all
    select kind, priority, due_at from jobs where state = 'queued' and due_at <= clock_timestamp()
) due
where kind not in <<paused_kinds>>
group by priority;

-- name: outbox_age
-- Rows that the relay has to publish, and the age of the oldest in seconds.
select 'job' as kind, count(*) as rows,
    coalesce(extract(epoch from clock_timestamp() - min(due_at)), 0)::float as seconds
from jobs where <<publishable>> and due_at <= clock_timestamp() and kind not in <<paused_kinds>>
union all
select 'dead_letter', count(*), coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float
from job_dead_letters;
