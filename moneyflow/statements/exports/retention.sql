-- name: exports
-- Delete exports that have expired; their files have a rule of their own.
delete from exports where id in (
    select id from exports where expires_at < clock_timestamp() limit %(limit)s for update skip locked);
