-- name: succeed
-- End the job as succeeded in the transaction of its effects, and keep the attempt.
with done as (
    update jobs set state = 'succeeded', <<ended>>, attempt = %(attempt)s, result = %(result)s::jsonb,
        parked_reason = null, error_class = null, error_message = null, error_group = null
    where id = %(id)s and fence = %(fence)s and state = 'running'
    returning id, fence, attempt, started_at
)
insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome)
select id, fence, attempt, %(worker)s, started_at, 'succeeded' from done;

-- name: succeed_many
-- End many jobs as succeeded in one statement, those whose fences still hold, and keep their attempts. Locked in the order
-- of their ids, as everywhere.
with mine as (
    select * from jsonb_to_recordset(%(done)s::jsonb) as mine (id uuid, fence bigint, attempt integer, result jsonb)
), held as (
    select jobs.id, mine.attempt, mine.result from jobs
    join mine on jobs.id = mine.id and jobs.fence = mine.fence and jobs.state = 'running'
    order by jobs.id for update of jobs
), done as (
    update jobs set state = 'succeeded', <<ended>>, attempt = held.attempt, result = held.result,
        parked_reason = null, error_class = null, error_message = null, error_group = null
    from held where jobs.id = held.id
    returning jobs.id, jobs.fence, jobs.attempt, jobs.started_at
), kept as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome)
    select id, fence, attempt, %(worker)s, started_at, 'succeeded' from done
)
select id from done;

-- name: again
-- Keep the attempt with its error; the job is due again later, and its place under a limit is free for others.
with done as (
    update jobs set <<again>>, attempt = %(attempt)s, quarantined = false, waits_for = <<limit_or_nothing>>,
        due_at = clock_timestamp() + make_interval(secs => %(wait_seconds)s), parked_reason = null,
        error_class = coalesce(%(error_class)s, error_class), error_message = coalesce(%(error_message)s, error_message),
        error_group = coalesce(%(error_group)s, error_group)
    where id = %(id)s and fence = %(fence)s and state = 'running'
    returning id, fence, attempt, started_at, state
)
insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message,
                          error_traceback)
select id, fence, attempt, %(worker)s, started_at, case when state = 'cancelled' then state else %(outcome)s end,
    %(error_class)s, %(error_message)s, %(error_traceback)s
from done;

-- name: park
-- Let a job that no worker of this version can read wait for one that can. The history has it once, not each time that
-- a worker looked at it in vain.
with found as (
    select id, parked_reason from jobs where id = %(id)s and fence = %(fence)s and state = 'running' for update
), done as (
    update jobs set <<again>>, attempt = %(attempt)s, quarantined = false, waits_for = <<limit_or_nothing>>,
        due_at = clock_timestamp() + make_interval(secs => %(wait_seconds)s), parked_reason = %(error_message)s
    from found where jobs.id = found.id
    returning jobs.id, fence, attempt, started_at, found.parked_reason
), kept as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message)
    select id, fence, attempt, %(worker)s, started_at, 'parked', %(error_class)s, %(error_message)s
    from done where parked_reason is distinct from %(error_message)s
)
select id from done;

-- name: cancel
-- End a job that was cancelled while it ran, and keep the attempt.
with done as (
    update jobs set state = 'cancelled', <<ended>>, attempt = %(attempt)s
    where id = %(id)s and fence = %(fence)s and state = 'running'
    returning id, fence, attempt, started_at
)
insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message)
select id, fence, attempt, %(worker)s, started_at, 'cancelled', %(error_class)s, %(error_message)s from done;

-- name: fail
-- End the job as failed, keep the attempt with its error, and leave the dead letter for the relay.
with done as (
    update jobs set state = 'failed', <<ended>>, attempt = %(attempt)s, parked_reason = null,
        error_class = %(error_class)s, error_message = %(error_message)s, error_group = %(error_group)s
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
