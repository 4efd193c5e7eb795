-- name: due_jobs
-- What is due, the highest priority first. One look into the index for each kind and priority, so that neither a long
-- backlog, nor a paused kind, nor a million jobs of the far future is read to find the next ones. Of a kind that paused
-- itself, the one job that probes.
with recursive kinds (kind) as (
    (select kind from jobs where <<publishable>> order by kind limit 1)
    union all
    select (select jobs.kind from jobs where <<publishable>> and jobs.kind > kinds.kind
            order by jobs.kind limit 1)
    from kinds where kinds.kind is not null
), due as (
    select found.* from kinds, generate_series(10, 0, -1) as level (priority), lateral (
        select id, kind, priority, fence, traceparent, enqueued_at, due_at from jobs
        where <<publishable>> and jobs.kind = kinds.kind
          and jobs.priority = level.priority and due_at <= statement_timestamp()
        order by due_at limit %(limit)s
    ) found
    where kinds.kind not in <<paused_kinds>>
    union all
    select id, jobs.kind, priority, fence, traceparent, enqueued_at, due_at
    from job_kinds join jobs on jobs.id = probe_job_id
    where <<publishable>> and due_at <= statement_timestamp()
)
select * from due order by priority desc, due_at limit %(limit)s;

-- name: next_due_seconds
-- How long until the next job is due; null when none waits.
with recursive kinds (kind) as (
    (select kind from jobs where <<publishable>> order by kind limit 1)
    union all
    select (select jobs.kind from jobs where <<publishable>> and jobs.kind > kinds.kind
            order by jobs.kind limit 1)
    from kinds where kinds.kind is not null
)
select extract(epoch from min(next.due_at) - statement_timestamp())::float as seconds
from kinds, generate_series(10, 0, -1) as level (priority), lateral (
    select due_at from jobs
    where <<publishable>> and jobs.kind = kinds.kind
      and jobs.priority = level.priority
    order by due_at limit 1
) next
where kinds.kind not in <<paused_kinds>>;

-- name: mark_published
-- Mark what RabbitMQ confirmed. A job that was claimed meanwhile has another fence and stays as it is; one that
-- somebody has locked is published again later, which is harmless, and holds up nobody.
with confirmed as (
    select jobs.id from jobs
    join unnest(%(ids)s::uuid[], %(fences)s::bigint[]) as sent (id, fence) using (id, fence)
    where state = 'scheduled' order by id for update of jobs skip locked
)
update jobs set state = 'queued', published_at = clock_timestamp() from confirmed where jobs.id = confirmed.id
returning jobs.id;

-- name: dead_letters
-- Failed jobs that are not on jobs_failed yet, with their reason; and those that were replayed or discarded meanwhile.
select letter.id as letter_id, jobs.id, letter.fence, kind, priority, traceparent, enqueued_at, try.attempt, try.worker,
    try.error_class, try.error_message, try.error_traceback, try.ended_at,
    jobs.state = 'failed' and jobs.fence = letter.fence as is_current
from job_dead_letters letter
join jobs on jobs.id = letter.job_id
join job_attempts try on try.job_id = letter.job_id and try.fence = letter.fence
order by letter.id limit %(limit)s;

-- name: delete_dead_letters
-- Drop the letters that RabbitMQ confirmed, or that are over.
delete from job_dead_letters where id = any(%(ids)s);
