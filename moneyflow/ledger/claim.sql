-- name: claim_window
-- Take every job of the window that waits to be run and is not suspect. One that somebody else has locked is asked for
-- again in a moment: nobody waits for it here, where the others of the window would wait too.
with waiting as (
    select id from jobs
    where id = any(%(ids)s) and not suspect and state in ('scheduled', 'queued', 'retrying')
      and due_at <= clock_timestamp()
    order by id for update skip locked
)
update jobs set state = 'running', fence = fence + 1, worker = %(worker)s, started_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => time_limit_seconds)
from waiting where jobs.id = waiting.id
returning jobs.id, kind, version, priority, payload, attempt + 1 as attempt, max_attempts, fence, correlation_id,
    traceparent, time_limit_seconds, extract(epoch from clock_timestamp() - due_at)::float as wait_seconds;

-- name: claim_suspect
-- Take one job whose holder is gone, or that was taken back from one, and count the try before it starts. The claim
-- that was lost is kept in the history.
with before as (
    select id, state, fence, attempt, worker, started_at, suspect from jobs
    where id = %(id)s
      and ((state = 'running' and (lease_until < clock_timestamp()
                                   or worker not in (select number from live_workers)))
           or (suspect and state in ('scheduled', 'queued', 'retrying') and due_at <= clock_timestamp()))
    for update skip locked
), lost as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message)
    select id, fence, case when suspect then attempt else 0 end, coalesce((select name from workers where number = before.worker), 'gone'),
        started_at, 'lost', 'WorkerLostError', 'the process that held the job is gone'
    from before where state = 'running'
)
update jobs set state = 'running', suspect = true, attempt = jobs.attempt + 1, fence = jobs.fence + 1,
    worker = %(worker)s, started_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => time_limit_seconds)
from before where jobs.id = before.id
returning jobs.id, kind, version, priority, payload, jobs.attempt, max_attempts, jobs.fence, correlation_id,
    traceparent, time_limit_seconds, extract(epoch from clock_timestamp() - due_at)::float as wait_seconds;

-- name: standing
-- Say where a job stands that the window's claim did not take.
select case
    when state = 'running' and (lease_until < clock_timestamp() or worker not in (select number from live_workers))
        then 'SUSPECT'
    when state in ('scheduled', 'queued', 'retrying') and due_at <= clock_timestamp()
        then case when suspect then 'SUSPECT' else 'WAITING' end
    when state = 'failed' then 'FAILED'
    else 'SETTLED' end as standing
from jobs where id = %(id)s;

-- name: renew
-- Begin the lease anew.
update jobs set lease_until = clock_timestamp() + make_interval(secs => time_limit_seconds),
    started_at = clock_timestamp()
where id = %(id)s and fence = %(fence)s and state = 'running';

-- name: hand_back
-- Put jobs that were claimed and not started back to where they waited.
update jobs set state = 'queued', published_at = coalesce(published_at, clock_timestamp()), worker = null,
    lease_until = null, started_at = null
from unnest(%(ids)s::uuid[], %(fences)s::bigint[]) as mine (id, fence)
where jobs.id = mine.id and jobs.fence = mine.fence and jobs.state = 'running' and not jobs.suspect;

-- name: durably
-- Let this transaction's commit wait for the disk, on a connection whose others do not.
set local synchronous_commit = on;

-- name: postpone
-- Let a suspect be published again later.
update jobs set state = 'scheduled', due_at = clock_timestamp() + make_interval(secs => %(seconds)s)
where id = %(id)s and suspect and state in ('scheduled', 'queued', 'retrying');

-- name: replay
-- Begin a failed job anew. Its old tries stay in the history; they do not count any more.
update jobs set state = 'scheduled', due_at = clock_timestamp(), attempt = 0, suspect = false, fence = fence + 1,
    finished_at = null
where id = %(id)s and state = 'failed' and fence = %(fence)s;
