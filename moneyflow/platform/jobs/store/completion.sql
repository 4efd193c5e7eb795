-- name: succeed
-- Finish the job, in the transaction of its effects, and keep the try.
with done as (
    update jobs set state = 'succeeded', attempt = %(attempt)s, suspect = false, worker = null, lease_until = null,
        result = %(result)s::jsonb, parked_reason = null, error_class = null, error_message = null, error_group = null,
        unique_key = case when unique_while_unfinished then null else unique_key end, finished_at = clock_timestamp()
    where id = %(id)s and fence = %(fence)s and state = 'running'
    returning id, fence, attempt, started_at
)
insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome)
select id, fence, attempt, %(worker)s, started_at, 'succeeded' from done;

-- name: succeed_many
-- Finish those of the jobs that their fences still name, many in one statement, and keep their tries. Locked in the
-- order of their ids, as everywhere.
with mine as (
    select * from jsonb_to_recordset(%(done)s::jsonb) as mine (id uuid, fence bigint, attempt integer, result jsonb)
), held as (
    select jobs.id, mine.attempt, mine.result from jobs
    join mine on jobs.id = mine.id and jobs.fence = mine.fence and jobs.state = 'running'
    order by jobs.id for update of jobs
), done as (
    update jobs set state = 'succeeded', attempt = held.attempt, suspect = false, worker = null, lease_until = null,
        result = held.result, parked_reason = null, error_class = null, error_message = null, error_group = null,
        unique_key = case when unique_while_unfinished then null else unique_key end, finished_at = clock_timestamp()
    from held where jobs.id = held.id
    returning jobs.id, jobs.fence, jobs.attempt, jobs.started_at
), kept as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome)
    select id, fence, attempt, %(worker)s, started_at, 'succeeded' from done
)
select id from done;

-- name: retry
-- Keep the try and why it ended; the job is due again later, and its place under a limit is free for others. One that
-- somebody asked to cancel meanwhile ends instead.
with done as (
    update jobs set state = case when cancel_requested_at is null then %(state)s else 'cancelled' end,
        attempt = %(attempt)s, suspect = false, worker = null, lease_until = null, held = limit_name is not null,
        due_at = clock_timestamp() + make_interval(secs => %(wait_seconds)s), parked_reason = null,
        error_class = coalesce(%(error_class)s, error_class), error_message = coalesce(%(error_message)s, error_message),
        error_group = coalesce(%(error_group)s, error_group),
        unique_key = case when unique_while_unfinished and cancel_requested_at is not null then null else unique_key end,
        finished_at = case when cancel_requested_at is null then null else clock_timestamp() end
    where id = %(id)s and fence = %(fence)s and state = 'running'
    returning id, fence, attempt, started_at, state
)
insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message,
                          error_traceback)
select id, fence, attempt, %(worker)s, started_at, case when state = 'cancelled' then state else %(outcome)s end,
    %(error_class)s, %(error_message)s, %(error_traceback)s
from done;

-- name: park
-- Let a job that nobody here can read wait for workers that can. Its history tells of it once, not each time that it
-- was looked at in vain. One that somebody asked to cancel ends instead.
with before as (
    select id, parked_reason from jobs where id = %(id)s and fence = %(fence)s and state = 'running' for update
), done as (
    update jobs set state = case when cancel_requested_at is null then 'scheduled' else 'cancelled' end,
        attempt = %(attempt)s, suspect = false, worker = null, lease_until = null, held = limit_name is not null,
        due_at = clock_timestamp() + make_interval(secs => %(wait_seconds)s), parked_reason = %(error_message)s,
        unique_key = case when unique_while_unfinished and cancel_requested_at is not null then null else unique_key end,
        finished_at = case when cancel_requested_at is null then null else clock_timestamp() end
    from before where jobs.id = before.id
    returning jobs.id, fence, attempt, started_at, before.parked_reason
), kept as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message)
    select id, fence, attempt, %(worker)s, started_at, 'parked', %(error_class)s, %(error_message)s
    from done where parked_reason is distinct from %(error_message)s
)
select id from done;

-- name: cancel
-- End a job that was cancelled while it ran, and keep the try.
with done as (
    update jobs set state = 'cancelled', attempt = %(attempt)s, suspect = false, worker = null, lease_until = null,
        unique_key = case when unique_while_unfinished then null else unique_key end, finished_at = clock_timestamp()
    where id = %(id)s and fence = %(fence)s and state = 'running'
    returning id, fence, attempt, started_at
)
insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message)
select id, fence, attempt, %(worker)s, started_at, 'cancelled', %(error_class)s, %(error_message)s from done;

-- name: fail
-- Keep the try and its error, and leave the dead letter for the relay.
with done as (
    update jobs set state = 'failed', attempt = %(attempt)s, suspect = false, worker = null, lease_until = null,
        error_class = %(error_class)s, error_message = %(error_message)s, error_group = %(error_group)s,
        parked_reason = null, unique_key = case when unique_while_unfinished then null else unique_key end,
        finished_at = clock_timestamp()
    where id = %(id)s and fence = %(fence)s and state = 'running'
    returning id, fence, attempt, started_at
), kept as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message,
                              error_traceback)
    select id, fence, attempt, %(worker)s, started_at, 'failed', %(error_class)s, %(error_message)s,
        %(error_traceback)s
    from done
)
insert into job_dead_letters (job_id, fence) select id, fence from done;
