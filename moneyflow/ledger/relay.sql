-- name: due_jobs
-- What is due, the highest priority first. One look into the index for each priority, so that neither a long backlog
-- nor a million jobs of the far future is read to find the next ones.
select due.* from generate_series(10, 0, -1) as level (priority), lateral (
    select id, kind, jobs.priority, fence, traceparent, enqueued_at, due_at from jobs
    where state in ('scheduled', 'retrying') and jobs.priority = level.priority and due_at <= statement_timestamp()
    order by due_at limit %(limit)s
) due
order by due.priority desc, due.due_at limit %(limit)s;

-- name: next_due_seconds
-- How long until the next job is due; null when none waits.
select extract(epoch from min(next.due_at) - statement_timestamp())::float as seconds
from generate_series(10, 0, -1) as level (priority), lateral (
    select due_at from jobs where state in ('scheduled', 'retrying') and jobs.priority = level.priority
    order by due_at limit 1
) next;

-- name: mark_published
-- Mark what RabbitMQ confirmed. A job that was claimed meanwhile has another fence and stays as it is; one that
-- somebody has locked is published again later, which is harmless, and holds up nobody.
with confirmed as (
    select jobs.id from jobs
    join unnest(%(ids)s::uuid[], %(fences)s::bigint[]) as sent (id, fence) using (id, fence)
    where state in ('scheduled', 'retrying') order by id for update of jobs skip locked
)
update jobs set state = 'queued', published_at = clock_timestamp() from confirmed where jobs.id = confirmed.id
returning jobs.id;

-- name: dead_letters
-- Failed jobs that are not on jobs_failed yet, with their reason.
select letter.id as letter_id, jobs.id, letter.fence, kind, priority, traceparent, enqueued_at, try.attempt, try.worker,
    try.error_class, try.error_message, try.error_traceback, try.ended_at
from job_dead_letters letter
join jobs on jobs.id = letter.job_id
join job_attempts try on try.job_id = letter.job_id and try.fence = letter.fence
order by letter.id limit %(limit)s;

-- name: delete_dead_letters
-- Drop the letters that RabbitMQ confirmed.
delete from job_dead_letters where id = any(%(ids)s);

-- name: outbox_events
-- Events in the order of their keys. Rows of one key are inserted under the lock of their aggregate, so the lower
-- number was committed first; a row that is committed late is simply seen later, for none is ever skipped.
select sequence, id, topic, key, value from outbox_events where topic <> all(%(refused)s::text[])
order by sequence limit %(limit)s;

-- name: delete_events
-- Drop the events that Kafka confirmed.
delete from outbox_events where sequence = any(%(sequences)s);

-- name: take_back
-- Take back what a dead or frozen worker holds, or what ran past its time limit: it is due at once, as a suspect.
with gone as (
    select id, fence, attempt, worker, started_at, suspect from jobs
    where state = 'running'
      and (lease_until < clock_timestamp() or worker not in (select number from live_workers))
    order by id limit %(limit)s for update skip locked
), kept as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message)
    select gone.id, gone.fence, case when suspect then attempt else 0 end, coalesce(workers.name, 'gone'), gone.started_at, 'lost',
        'WorkerLostError', 'the process that held the job is gone, frozen, or over the time limit'
    from gone left join workers on workers.number = gone.worker
)
update jobs set state = 'scheduled', suspect = true, fence = jobs.fence + 1, worker = null, lease_until = null,
    due_at = clock_timestamp()
from gone where jobs.id = gone.id
returning jobs.id;

-- name: queued_before
-- How many jobs should lie in RabbitMQ for a while already, and the moment that was asked for.
select count(*) as jobs, max(coalesce(published_at, enqueued_at)) as newest from jobs
where state = 'queued' and coalesce(published_at, enqueued_at) < clock_timestamp() - make_interval(secs => %(grace_seconds)s);

-- name: publish_again
-- Let the relay publish once more what RabbitMQ no longer holds. One message too many is harmless.
with missing as (
    select id from jobs where state = 'queued' and coalesce(published_at, enqueued_at) <= %(newest)s
    order by id limit %(limit)s for update skip locked
)
update jobs set state = 'scheduled' from missing where jobs.id = missing.id;

-- name: jobs_in_state
-- How many jobs are in each unfinished state. Finished ones are counted as they finish.
select state, count(*) as jobs from jobs where state in ('scheduled', 'queued', 'running', 'retrying') group by state;

-- name: oldest_due
-- The age of the oldest job that should have been running, by priority.
select priority, extract(epoch from clock_timestamp() - min(due_at))::float as seconds from jobs
where state in ('scheduled', 'queued', 'retrying') and due_at <= clock_timestamp() group by priority;

-- name: outbox_age
-- How many rows wait for the relay and for how long the oldest one has.
select 'job' as kind, count(*) as rows,
    coalesce(extract(epoch from clock_timestamp() - min(due_at)), 0)::float as seconds
from jobs where state in ('scheduled', 'retrying') and due_at <= clock_timestamp()
union all
select 'event', count(*), coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float
from outbox_events
union all
select 'dead_letter', count(*), coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float
from job_dead_letters;
