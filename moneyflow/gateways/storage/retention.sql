-- name: files
-- Delete the rows of files that have expired.
delete from files where id in (
    select id from files where expires_at < clock_timestamp() limit %(limit)s for update skip locked);
