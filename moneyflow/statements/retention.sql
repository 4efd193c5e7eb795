-- name: imports
-- Delete imports of long ago with their refused rows.
delete from imports where id in (
    select id from imports where created_at < clock_timestamp() - %(kept)s
    limit %(limit)s for update skip locked);
