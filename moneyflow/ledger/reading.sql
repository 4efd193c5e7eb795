-- name: job_status
-- State and times of a job.
select id, kind, state, attempt, max_attempts, enqueued_at, due_at, started_at, finished_at from jobs
where id = %(id)s;
