-- name: lock
-- Lock the key until the transaction ends; a second request does not wait but gets false.
select pg_try_advisory_xact_lock(hashtextextended(%(scope)s || ' ' || %(key)s, 0)) as held;

-- name: find
-- The answer that was given before.
select body_hash, status, headers, body from idempotency_keys where scope = %(scope)s and key = %(key)s;

-- name: keep
-- Keep the answer with the effects of the request.
insert into idempotency_keys (scope, key, body_hash, status, headers, body)
values (%(scope)s, %(key)s, %(body_hash)s, %(status)s, %(headers)s, %(body)s);
