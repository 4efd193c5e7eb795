-- name: claim_window
-- Take every job of the window that waits to be run and is not suspect, held or paused. One that somebody else has
-- locked is asked for again in a moment: nobody waits for it here, where the others of the window would wait too.
with waiting as (
    select id, limit_name from jobs
    where id = any(%(ids)s::uuid[]) and not suspect and not held and state in ('scheduled', 'queued', 'retrying')
      and due_at <= clock_timestamp()
      and (kind not in (select kind from job_kinds where paused_at is not null)
           or id in (select probe_job_id from job_kinds))
    order by id for update skip locked
), started as (
    insert into job_starts (limit_name) select limit_name from waiting where limit_name is not null
)
update jobs set state = 'running', fence = fence + 1, worker = %(worker)s, started_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => time_limit_seconds)
from waiting where jobs.id = waiting.id
returning jobs.id, kind, version, priority, payload, attempt + 1 as attempt, max_attempts, fence, correlation_id,
    traceparent, time_limit_seconds, jobs.limit_name, jobs.id in (select probe_job_id from job_kinds) is true as is_probe,
    extract(epoch from clock_timestamp() - due_at)::float as wait_seconds;

-- name: claim_suspect
-- Take one job whose holder is gone, or that was taken back from one, and count the try before it starts. The claim
-- that was lost is kept in the history.
with before as (
    select id, state, fence, attempt, worker, started_at, suspect, limit_name from jobs
    where id = %(id)s and cancel_requested_at is null
      and ((state = 'running' and (lease_until < clock_timestamp()
                                   or worker not in (select number from live_workers)))
           or (suspect and state in ('scheduled', 'queued', 'retrying') and due_at <= clock_timestamp()))
      and not held
      and (kind not in (select kind from job_kinds where paused_at is not null)
           or id in (select probe_job_id from job_kinds))
    for update skip locked
), lost as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message)
    select id, fence, case when suspect then attempt else 0 end,
        coalesce((select name from workers where number = before.worker), 'gone'),
        started_at, 'lost', 'WorkerLostError', 'the process that held the job is gone'
    from before where state = 'running'
), started as (
    insert into job_starts (limit_name) select limit_name from before where limit_name is not null
)
update jobs set state = 'running', suspect = true, attempt = jobs.attempt + 1, fence = jobs.fence + 1,
    worker = %(worker)s, started_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => time_limit_seconds)
from before where jobs.id = before.id
returning jobs.id, kind, version, priority, payload, jobs.attempt, max_attempts, jobs.fence, correlation_id,
    traceparent, time_limit_seconds, jobs.limit_name, jobs.id in (select probe_job_id from job_kinds) is true as is_probe,
    extract(epoch from clock_timestamp() - due_at)::float as wait_seconds;

-- name: standing
-- Say where a job stands that the window's claim did not take.
select case
    when state = 'failed' then 'FAILED'
    when held or cancel_requested_at is not null then 'SETTLED'
    when kind in (select kind from job_kinds where paused_at is not null)
        and id not in (select probe_job_id from job_kinds where probe_job_id is not null)
        then case when state = 'queued' then 'PAUSED' else 'SETTLED' end
    when state = 'running' and (lease_until < clock_timestamp() or worker not in (select number from live_workers))
        then 'SUSPECT'
    when state in ('scheduled', 'queued', 'retrying') and due_at <= clock_timestamp()
        then case when suspect then 'SUSPECT' else 'WAITING' end
    else 'SETTLED' end as standing
from jobs where id = %(id)s;

-- name: set_aside
-- Let a job of a paused kind wait in Postgres; the relay publishes it when the kind is resumed. Its state is looked at
-- once it is found: named beside the id, Postgres would find it by the index of all that is queued.
with found as (select id, state from jobs where id = %(id)s for update)
update jobs set state = 'scheduled' from found where jobs.id = found.id and found.state = 'queued';

-- name: renew
-- Begin the lease anew.
update jobs set lease_until = clock_timestamp() + make_interval(secs => time_limit_seconds),
    started_at = clock_timestamp()
where id = %(id)s and fence = %(fence)s and state = 'running';

-- name: report
-- Keep how far a running job is, and say whether it is still ours and whether somebody asked to cancel it.
update jobs set progress = coalesce(%(progress)s::jsonb, progress)
where id = %(id)s and fence = %(fence)s and state = 'running'
returning cancel_requested_at is not null as is_cancelled;

-- name: hand_back
-- Put jobs that were claimed and not started back to where they waited: `queued` when RabbitMQ holds their messages.
update jobs set state = mine.state, worker = null, lease_until = null, started_at = null,
    published_at = case when mine.state = 'queued' then coalesce(published_at, clock_timestamp()) end
from unnest(%(ids)s::uuid[], %(fences)s::bigint[], %(states)s::text[]) as mine (id, fence, state)
where jobs.id = mine.id and jobs.fence = mine.fence and jobs.state = 'running' and not jobs.suspect;

-- name: let_go
-- Put back what a claim took whose answer was lost: it runs under this worker's number, and no thread has it. Found
-- first, as above.
with found as (select id, state, worker, suspect from jobs where id = any(%(ids)s::uuid[]) order by id for update)
update jobs set state = 'scheduled', worker = null, lease_until = null, started_at = null
from found
where jobs.id = found.id and found.state = 'running' and found.worker = %(worker)s and not found.suspect;

-- name: durably
-- Let this transaction's commit wait for the disk, on a connection whose others do not.
set local synchronous_commit = on;

-- name: postpone
-- Let a suspect be published again later.
update jobs set state = 'scheduled', due_at = clock_timestamp() + make_interval(secs => %(seconds)s)
where id = %(id)s and suspect and state in ('scheduled', 'queued', 'retrying');

-- name: replay
-- Begin a failed job anew. Its old tries stay in the history; they do not count any more. Found first, as above.
with found as (select id, state, fence from jobs where id = %(id)s for update)
update jobs set state = 'scheduled', due_at = clock_timestamp(), attempt = 0, suspect = false, fence = jobs.fence + 1,
    finished_at = null, held = limit_name is not null, cancel_requested_at = null, progress = null
from found where jobs.id = found.id and found.state = 'failed' and found.fence = %(fence)s;
