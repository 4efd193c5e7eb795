-- name: rescue
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
