-- name: owner
-- The person whose request enqueued a job.
select owner_id from jobs where id = %(id)s;
