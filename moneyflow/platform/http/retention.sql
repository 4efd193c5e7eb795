-- name: idempotency_keys
-- Delete answers that a repeated request does not get any more.
delete from idempotency_keys where (scope, key) in (
    select scope, key from idempotency_keys where created_at < clock_timestamp() - %(kept)s
    limit %(limit)s for update skip locked);
