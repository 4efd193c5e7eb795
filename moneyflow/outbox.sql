-- name: enqueue
-- Insert a job that waits for its due time; with a unique key that is taken, return the job that has it.
with fresh as (
    insert into jobs (id, kind, version, priority, payload, state, due_at, unique_key, max_attempts,
                      time_limit_seconds, correlation_id, traceparent)
    values (%(id)s, %(kind)s, %(version)s, %(priority)s, %(payload)s, 'scheduled',
            coalesce(%(at)s::timestamptz, clock_timestamp() + make_interval(secs => %(delay_seconds)s)),
            %(unique_key)s, %(max_attempts)s, %(time_limit_seconds)s, %(correlation_id)s, %(traceparent)s)
    -- An update that changes nothing, and not `do nothing`: it waits for and returns a row that another
    -- transaction inserts at this very moment.
    on conflict (unique_key) where unique_key is not null do update set unique_key = excluded.unique_key
    returning id
)
select id, id = %(id)s as inserted from fresh;

-- name: emit
-- Insert an event for the relay.
insert into outbox_events (id, topic, key, value) values (%(id)s, %(topic)s, %(key)s, %(value)s);
