-- name: job_status
-- State, times, progress and outcome of a job.
select id, state, attempt, enqueued_at, due_at, started_at, finished_at, progress, result, error_class, error_message
from jobs where id = %(id)s;

-- name: job
-- All of a job's row.
select * from jobs where id = %(id)s;

-- name: attempts
-- A job's tries in their order.
select fence, attempt, worker, started_at, ended_at, outcome, error_class, error_message, error_traceback
from job_attempts where job_id = %(id)s order by fence;

-- name: operations
-- What operators did to a job, in its order.
select operation.id, verb, asked_by, reason, result, detail, done_at
from operation_items item join operations operation on operation.id = item.operation_id
where item.job_id = %(id)s and item.result is not null order by done_at;
