-- name: jobs
-- The jobs that the person's requests have left.
select id, kind, state, attempt, enqueued_at, started_at, finished_at from jobs where owner_id = %(owner_id)s;

-- name: batches
-- The batches that the person's requests have left.
select id, name, created_at from batches where owner_id = %(owner_id)s;
