-- name: transactions
-- Delete transactions that were marked as deleted long enough ago.
delete from transactions where id in (
    select id from transactions where deleted_at < clock_timestamp() - %(kept)s
    limit %(limit)s for update skip locked);
