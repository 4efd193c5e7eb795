-- name: due_jobs
-- Due jobs, the highest priority first. PERF: one index lookup for each kind and priority, so that no long backlog, paused
-- kind or million jobs of the far future is read to find the next ones. Of a kind whose breaker is open, its probe.
with recursive <<kinds_that_wait>>, due as (
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
-- Seconds until the next job is due; null when none waits.
with recursive <<kinds_that_wait>>
select (extract(epoch from min(next.due_at)) - extract(epoch from statement_timestamp()))::float as seconds
from kinds, generate_series(10, 0, -1) as level (priority), lateral (
    select due_at from jobs
    where <<publishable>> and jobs.kind = kinds.kind
      and jobs.priority = level.priority
    order by due_at limit 1
) next
where kinds.kind not in <<paused_kinds>>;

-- name: mark_published
-- Mark jobs that RabbitMQ confirmed. One that was claimed meanwhile has another fence and is not changed. One that another
-- transaction has locked is skipped, so the relay does not wait, and published again: a duplicate message is harmless.
with confirmed as (
    select jobs.id from jobs
    join unnest(%(ids)s::uuid[], %(fences)s::bigint[]) as sent (id, fence) using (id, fence)
    where <<publishable>> order by id for update of jobs skip locked
)
update jobs set state = 'queued', published_at = clock_timestamp() from confirmed where jobs.id = confirmed.id
returning jobs.id;

-- name: dead_letters
-- Dead letters to publish, with the failed attempt of each; not current when the job was replayed or discarded since. PERF:
-- read first, whatever the statistics say: there are few, and many jobs.
with dead as materialized (select id, job_id, fence from job_dead_letters order by id limit %(limit)s)
select dead.id as dead_letter_id, jobs.id, dead.fence, kind, priority, traceparent, enqueued_at, failed.attempt,
    failed.worker, failed.error_class, failed.error_message, failed.error_traceback, failed.ended_at,
    jobs.state = 'failed' and jobs.fence = dead.fence as is_current
from dead
join jobs on jobs.id = dead.job_id
join job_attempts failed on failed.job_id = dead.job_id and failed.fence = dead.fence
order by dead.id;

-- name: delete_dead_letters
-- Delete dead letters that RabbitMQ confirmed or that are stale.
delete from job_dead_letters where id = any(%(ids)s);
