-- name: due_jobs
-- What is due, the highest priority first. One look into the index for each kind and priority, so that neither a long
-- backlog, nor a paused kind, nor a million jobs of the far future is read to find the next ones. Of a kind that paused
-- itself, the one job that probes.
with recursive kinds (kind) as (
    (select kind from jobs where state in ('scheduled', 'retrying') and not held order by kind limit 1)
    union all
    select (select jobs.kind from jobs where state in ('scheduled', 'retrying') and not held and jobs.kind > kinds.kind
            order by jobs.kind limit 1)
    from kinds where kinds.kind is not null
), due as (
    select found.* from kinds, generate_series(10, 0, -1) as level (priority), lateral (
        select id, kind, priority, fence, traceparent, enqueued_at, due_at from jobs
        where state in ('scheduled', 'retrying') and not held and jobs.kind = kinds.kind
          and jobs.priority = level.priority and due_at <= statement_timestamp()
        order by due_at limit %(limit)s
    ) found
    where kinds.kind not in (select kind from job_kinds where paused_at is not null)
    union all
    select id, jobs.kind, priority, fence, traceparent, enqueued_at, due_at
    from job_kinds join jobs on jobs.id = probe_job_id
    where state in ('scheduled', 'retrying') and not held and due_at <= statement_timestamp()
)
select * from due order by priority desc, due_at limit %(limit)s;

-- name: next_due_seconds
-- How long until the next job is due; null when none waits.
with recursive kinds (kind) as (
    (select kind from jobs where state in ('scheduled', 'retrying') and not held order by kind limit 1)
    union all
    select (select jobs.kind from jobs where state in ('scheduled', 'retrying') and not held and jobs.kind > kinds.kind
            order by jobs.kind limit 1)
    from kinds where kinds.kind is not null
)
select extract(epoch from min(next.due_at) - statement_timestamp())::float as seconds
from kinds, generate_series(10, 0, -1) as level (priority), lateral (
    select due_at from jobs
    where state in ('scheduled', 'retrying') and not held and jobs.kind = kinds.kind
      and jobs.priority = level.priority
    order by due_at limit 1
) next
where kinds.kind not in (select kind from job_kinds where paused_at is not null);

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

-- name: outbox_events
-- Events in the order of their keys. Rows of one key are inserted under the lock of their aggregate, so the lower
-- number was committed first; a row that is committed late is simply seen later, for none is ever skipped.
select sequence, id, topic, key, value from outbox_events where topic <> all(%(refused)s::text[])
order by sequence limit %(limit)s;

-- name: delete_events
-- Drop the events that Kafka confirmed.
delete from outbox_events where sequence = any(%(sequences)s);

-- name: take_back
-- Take back what a dead or frozen worker holds, or what ran past its time limit: it is due at once, as a suspect, and
-- keeps its place under a limit. One that somebody asked to cancel ends.
with gone as (
    select id, fence, attempt, worker, started_at, suspect from jobs
    where state = 'running' and worker is not null
      and (lease_until < clock_timestamp() or worker not in (select number from live_workers))
    order by id limit %(limit)s for update skip locked
), kept as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message)
    select gone.id, gone.fence, case when suspect then attempt else 0 end, coalesce(workers.name, 'gone'),
        gone.started_at, 'lost', 'WorkerLostError',
        'the process that held the job is gone, frozen, or over the time limit'
    from gone left join workers on workers.number = gone.worker
)
update jobs set state = case when cancel_requested_at is null then 'scheduled' else 'cancelled' end, suspect = true,
    fence = jobs.fence + 1, worker = null, lease_until = null, due_at = clock_timestamp(),
    finished_at = case when cancel_requested_at is null then null else clock_timestamp() end,
    unique_key = case when unique_while_unfinished and cancel_requested_at is not null then null else unique_key end
from gone where jobs.id = gone.id
returning jobs.id;

-- name: admit
-- Give those that wait under a limit the places that are free, the highest priority first, key by key. A place is
-- taken from here until the job ends or waits for its next try, so nothing can begin beyond the limit, whoever runs it
-- and however often. For a rate, what may still begin is counted like what began within the window: then no window
-- ever has more starts than the limit.
with recursive limits as (
    select * from unnest(%(names)s::text[], %(concurrency)s::integer[], %(per_key)s::integer[],
                         %(rate_limits)s::integer[], %(rate_seconds)s::double precision[])
        as limits (name, concurrency, per_key, rate_limit, rate_seconds)
    where exists (select 1 from jobs where limit_name = limits.name and held and state in ('scheduled', 'retrying'))
), room as (
    select limits.*, greatest(0, least(
        %(limit)s,
        concurrency - (select count(*) from jobs where limit_name = limits.name and not held
                       and state in ('scheduled', 'queued', 'running', 'retrying')),
        rate_limit - (select count(*) from jobs where limit_name = limits.name and not held
                      and state in ('scheduled', 'queued', 'retrying'))
            - (select count(*) from job_starts where limit_name = limits.name
               and started_at > clock_timestamp() - make_interval(secs => rate_seconds))
    )) as places
    from limits
), pairs as (
    select name, (select min(limit_key) from jobs
                  where limit_name = name and held and state in ('scheduled', 'retrying')) as key
    from room where places > 0
    union all
    select name, (select min(limit_key) from jobs where limit_name = pairs.name and limit_key > pairs.key
                  and held and state in ('scheduled', 'retrying'))
    from pairs where key is not null
), chosen as (
    select found.id, places, row_number() over (partition by name order by found.priority desc, found.due_at) as place
    from pairs join room using (name), lateral (
        select id, priority, due_at from jobs
        where limit_name = pairs.name and limit_key = pairs.key and held and state in ('scheduled', 'retrying')
          and due_at <= clock_timestamp() and kind not in (select kind from job_kinds where paused_at is not null)
        order by priority desc, due_at
        limit greatest(0, least(places, per_key - (
            select count(*) from jobs where limit_name = pairs.name and limit_key = pairs.key and not held
            and state in ('scheduled', 'queued', 'running', 'retrying'))))
    ) found
    where key is not null
)
update jobs set held = false from chosen
where jobs.id = chosen.id and place <= places and held and state in ('scheduled', 'retrying')
returning jobs.id;

-- name: held_elsewhere
-- Limits that jobs wait under and that this version does not know.
with recursive names (name) as (
    select min(limit_name) from jobs where held and limit_name is not null and state in ('scheduled', 'retrying')
    union all
    select (select min(limit_name) from jobs where limit_name > name and held and state in ('scheduled', 'retrying'))
    from names where name is not null
)
select name from names where name <> all(%(names)s);

-- name: forget_starts
-- Drop the starts that no window looks back at any more.
delete from job_starts where started_at < clock_timestamp() - make_interval(secs => %(seconds)s);

-- name: choose_probes
-- For each kind that paused itself and waits for long enough, choose the job that is tried next.
with due as (
    select kind from job_kinds
    where paused_at is not null and probe_at <= clock_timestamp()
      and not exists (select 1 from jobs where jobs.id = probe_job_id and state in ('queued', 'running'))
    for update skip locked
), chosen as (
    select due.kind, found.id from due, lateral (
        select id from jobs
        where jobs.kind = due.kind and state in ('scheduled', 'retrying') and not held
          and (state = 'retrying' or due_at <= clock_timestamp())
        order by due_at limit 1
    ) found
), now_due as (
    update jobs set due_at = least(due_at, clock_timestamp()) from chosen where jobs.id = chosen.id
)
update job_kinds set probe_job_id = chosen.id, probe_at = clock_timestamp() + make_interval(secs => probe_wait_seconds)
from chosen where job_kinds.kind = chosen.kind
returning job_kinds.kind, probe_job_id;

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
-- How many rows wait for the relay and for how long the oldest one has.
select 'job' as kind, count(*) as rows,
    coalesce(extract(epoch from clock_timestamp() - min(due_at)), 0)::float as seconds
from jobs where state in ('scheduled', 'retrying') and not held and due_at <= clock_timestamp()
  and kind not in (select kind from job_kinds where paused_at is not null)
union all
select 'event', count(*), coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float
from outbox_events
union all
select 'dead_letter', count(*), coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float
from job_dead_letters;
