-- name: files
-- The person's files.
select id, name, content_type, size, sha256, created_at, expires_at from files
where owner_id = %(owner_id)s order by id;
