-- name: succeed
-- Finish those of the jobs that their fences still name, many in one statement, and keep their tries. Locked in the
-- order of their ids, as everywhere.
with mine as (
    select * from unnest(%(ids)s::uuid[], %(fences)s::bigint[], %(attempts)s::integer[], %(results)s::jsonb[])
        as mine (id, fence, attempt, result)
), held as (
    select jobs.id, mine.attempt, mine.result from jobs
    join mine on jobs.id = mine.id and jobs.fence = mine.fence and jobs.state = 'running'
    order by jobs.id for update of jobs
), done as (
    update jobs set state = 'succeeded', attempt = held.attempt, suspect = false, worker = null, lease_until = null,
        result = held.result, finished_at = clock_timestamp()
    from held where jobs.id = held.id
    returning jobs.id, jobs.fence, jobs.attempt, jobs.started_at
), kept as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome)
    select id, fence, attempt, %(worker)s, started_at, 'succeeded' from done
)
select id from done;

-- name: retry
-- Keep the try and its error; the job is due again later.
with done as (
    update jobs set state = 'retrying', attempt = %(attempt)s, suspect = false, worker = null, lease_until = null,
        due_at = clock_timestamp() + make_interval(secs => %(wait_seconds)s)
    where id = %(id)s and fence = %(fence)s and state = 'running'
    returning id, fence, attempt, started_at
)
insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message,
                          error_traceback)
select id, fence, attempt, %(worker)s, started_at, 'retried', %(error_class)s, %(error_message)s, %(error_traceback)s
from done;

-- name: fail
-- Keep the try and its error, and leave the dead letter for the relay.
with done as (
    update jobs set state = 'failed', attempt = %(attempt)s, suspect = false, worker = null, lease_until = null,
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
