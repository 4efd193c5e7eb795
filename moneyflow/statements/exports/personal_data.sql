-- name: exports
-- The person's exports.
select id, format, first_day, last_day, job_id, file_id, created_at, expires_at from exports
where user_id = %(owner_id)s order by id;
