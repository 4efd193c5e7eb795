-- name: release_expired
-- Release unique keys that have expired.
update jobs set unique_key = null where unique_key = any(%(keys)s) and unique_until <= clock_timestamp();

-- name: enqueue
-- Insert jobs, scheduled for their due time; for a unique key that another job holds, return that job.
with inserted as (
    insert into jobs (id, kind, version, priority, payload, state, due_at, unique_key, unique_until,
                      unique_while_unfinished, limit_name, limit_key, waits_for, max_attempts, time_limit_seconds, batch_id,
                      owner_id, anonymous, correlation_id, traceparent)
    select id, kind, version, coalesce(%(priority)s, priority), payload, 'scheduled',
        coalesce(%(at)s::timestamptz, clock_timestamp() + make_interval(secs => %(delay_seconds)s)),
        unique_key, clock_timestamp() + make_interval(secs => unique_seconds), unique_while_unfinished, limit_name,
        limit_key, coalesce(%(waits_for)s, <<limit_or_nothing>>), max_attempts, time_limit_seconds, %(batch_id)s,
        %(owner_id)s::uuid, %(anonymous)s, %(correlation_id)s, traceparent
    -- PERF: one JSON document, not an array for each column: it is planned once, and faster to write than thirteen arrays.
    from json_to_recordset(%(jobs)s::json) as asked (
        id uuid, kind text, version smallint, priority smallint, payload jsonb, unique_key text,
        unique_seconds double precision, unique_while_unfinished boolean, limit_name text, limit_key text,
        max_attempts integer, time_limit_seconds integer, traceparent text
    )
    -- Not `do nothing`: this update changes nothing either, but waits for a row that a concurrent transaction inserts, and
    -- returns it.
    on conflict (unique_key) where unique_key is not null do update set unique_key = excluded.unique_key
    returning id, unique_key
)
select id, unique_key from inserted;
