-- name: claim
-- Take every job of the claim buffer that can run now. One that another transaction has locked is skipped and asked for
-- again in a moment: to wait for it here would hold up all others of the buffer.
with claimable as (
    select id, limit_name from jobs
    where id = any(%(ids)s::uuid[]) and not quarantined and waits_for is null and <<waiting>>
      and due_at <= clock_timestamp() and <<not_paused>>
    order by id for update skip locked
), started as (
    insert into job_starts (limit_name) select limit_name from claimable where limit_name is not null
)
update jobs set state = 'running', fence = fence + 1, worker = %(worker)s, started_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => time_limit_seconds)
from claimable where jobs.id = claimable.id
returning jobs.id, kind, version, priority, payload, attempt + 1 as attempt, max_attempts, fence, correlation_id,
    traceparent, time_limit_seconds, jobs.limit_name, jobs.id in <<probes>> as is_probe,
    (extract(epoch from clock_timestamp()) - extract(epoch from due_at))::float as wait_seconds;

-- name: claim_quarantined
-- Take one job whose worker died while it held it, and count the attempt before it starts. The claim that was lost is
-- kept in the history.
with found as (
    select id, state, fence, attempt, worker, started_at, quarantined, limit_name from jobs
    where id = %(id)s and cancel_requested_at is null
      and (state = 'running' and <<lost>> or quarantined and <<waiting>> and due_at <= clock_timestamp())
      and waits_for is null and <<not_paused>>
    for update skip locked
), lost as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message)
    select id, fence, case when quarantined then attempt else 0 end,
        coalesce((select name from workers where number = found.worker), 'unknown'),
        started_at, 'lost', 'WorkerLostError', 'the process that held the job is dead'
    from found where state = 'running'
), started as (
    insert into job_starts (limit_name) select limit_name from found where limit_name is not null
)
update jobs set state = 'running', quarantined = true, attempt = jobs.attempt + 1, fence = jobs.fence + 1,
    worker = %(worker)s, started_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => time_limit_seconds)
from found where jobs.id = found.id
returning jobs.id, kind, version, priority, payload, jobs.attempt, max_attempts, jobs.fence, correlation_id,
    traceparent, time_limit_seconds, jobs.limit_name, jobs.id in <<probes>> as is_probe,
    (extract(epoch from clock_timestamp()) - extract(epoch from due_at))::float as wait_seconds;

-- name: standing
-- What a worker is to do with the message of a job that `claim` did not return.
select case
    when state = 'failed' then 'FAILED'
    when waits_for is not null or cancel_requested_at is not null then 'SETTLED'
    when not <<not_paused>> then case when state = 'queued' then 'PAUSED' else 'SETTLED' end
    when state = 'running' and <<lost>> then 'QUARANTINED'
    when <<waiting>> and due_at <= clock_timestamp() then case when quarantined then 'QUARANTINED' else 'CLAIMABLE' end
    else 'SETTLED' end as standing
from jobs where id = %(id)s;

-- name: unqueue
-- Let a queued job of a paused kind wait in Postgres; the relay publishes it once the kind is resumed. PERF: its state is
-- compared once the row is found; next to the id, Postgres would find it by the index of all that is queued.
with found as (select id, state from jobs where id = %(id)s for update)
update jobs set state = 'scheduled' from found where jobs.id = found.id and found.state = 'queued';

-- name: renew
-- Extend the lease of a claim that waited in the claim buffer.
update jobs set lease_until = clock_timestamp() + make_interval(secs => time_limit_seconds),
    started_at = clock_timestamp()
where id = %(id)s and fence = %(fence)s and state = 'running';

-- name: report
-- Keep the progress of a running job, and return whether it was asked to cancel.
update jobs set progress = coalesce(%(progress)s::jsonb, progress)
where id = %(id)s and fence = %(fence)s and state = 'running'
returning cancel_requested_at is not null as is_cancelled;

-- name: release
-- Give up claims whose jobs have not started: the relay publishes them again, to whichever worker is free.
with mine as (
    select jobs.id from jobs
    join unnest(%(ids)s::uuid[], %(fences)s::bigint[]) as mine (id, fence) using (id, fence)
    where state = 'running' and not quarantined order by jobs.id for update of jobs
)
update jobs set state = 'scheduled', worker = null, lease_until = null, started_at = null
from mine where jobs.id = mine.id;

-- name: release_unheard
-- Give up claims whose answer was lost with the connection: no thread of this worker knows of them. Found first, as above.
with found as (
    select id, state, worker, quarantined from jobs where id = any(%(ids)s::uuid[]) order by id for update
)
update jobs set state = 'scheduled', worker = null, lease_until = null, started_at = null
from found
where jobs.id = found.id and found.state = 'running' and found.worker = %(worker)s and not found.quarantined;

-- name: durably
-- Make this transaction's commit wait for the disk, on a connection whose other commits do not.
set local synchronous_commit = on;

-- name: reschedule
-- Make a quarantined job due later: it runs alone, and other jobs run in this process.
update jobs set state = 'scheduled', due_at = clock_timestamp() + make_interval(secs => %(seconds)s)
where id = %(id)s and quarantined and <<waiting>>;

-- name: replay
-- Start a failed job from the beginning, once for each failure. Found first, as above.
with found as (select id, state, fence from jobs where id = %(id)s for update)
update jobs set <<replayed>>, due_at = clock_timestamp()
from found where jobs.id = found.id and found.state = 'failed' and found.fence = %(fence)s;
