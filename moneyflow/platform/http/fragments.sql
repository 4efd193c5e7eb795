-- fragment: first_request
-- Tables of a statement that does a whole request: `key_lock`, whether this request holds its key, and `first_request`,
-- which has a row when the request is the first one under its key, or has none. Then its answer is kept.
key_lock as materialized (
    select %(key)s::text is null or pg_try_advisory_xact_lock(hashtextextended(%(scope)s || ' ' || %(key)s, 0))
        as is_held
), kept as (
    insert into idempotency_keys (scope, key, body_hash, status, headers, body)
    select %(scope)s, %(key)s, %(body_hash)s, %(status)s, %(headers)s, %(body)s
    from key_lock where is_held and %(key)s::text is not null
    on conflict do nothing
    returning key
), first_request as (
    select from key_lock where is_held and (%(key)s::text is null or exists (select from kept))
)

-- fragment: outcome
-- What such a statement returns.
select is_held, exists (select from first_request) as is_first from key_lock
