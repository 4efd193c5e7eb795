-- name: rescue
-- Rescue jobs whose worker is dead or frozen, or that ran past their time limit: each is due at once, quarantined, and
-- keeps its place under a limit. One that was asked to cancel ends.
with lost as (
    select id, fence, attempt, worker, started_at, quarantined from jobs
    where state = 'running' and worker is not null and <<lost>>
    order by id limit %(limit)s for update skip locked
), kept as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message)
    select lost.id, lost.fence, case when quarantined then attempt else 0 end, coalesce(workers.name, 'unknown'),
        lost.started_at, 'lost', 'WorkerLostError',
        'the process that held the job is dead, frozen, or over the time limit'
    from lost left join workers on workers.number = lost.worker
)
update jobs set <<again>>, quarantined = true, fence = jobs.fence + 1, due_at = clock_timestamp()
from lost where jobs.id = lost.id
returning jobs.id;

-- name: queued_before
-- Jobs that were published before the grace and no worker has claimed: their number, and their newest publication.
select count(*) as jobs, max(coalesce(published_at, enqueued_at)) as newest from jobs
where state = 'queued' and coalesce(published_at, enqueued_at) < clock_timestamp() - make_interval(secs => %(grace_seconds)s);

-- name: publish_again
-- Make jobs that RabbitMQ lost publishable again. A duplicate message is harmless.
with missing as (
    select id from jobs where state = 'queued' and coalesce(published_at, enqueued_at) <= %(newest)s
    order by id limit %(limit)s for update skip locked
)
update jobs set state = 'scheduled' from missing where jobs.id = missing.id;
