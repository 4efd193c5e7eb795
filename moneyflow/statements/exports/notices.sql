-- name: ready
-- What the mail says, and to whom it is sent.
select user_id, first_day, last_day, file_id, expires_at from exports
where id = %(id)s and file_id is not null and expires_at > clock_timestamp();
