-- name: register
-- Insert a worker and return its number; delete workers whose last heartbeat is a week old.
with forgotten as (delete from workers where heartbeat_at < clock_timestamp() - interval '7 days')
insert into workers (name, lease_seconds, threads) values (%(name)s, %(lease_seconds)s, %(threads)s) returning number;

-- name: lock
-- Hold the number's lock until the session ends, however it ends.
select pg_advisory_lock(%(lock_class)s, %(number)s);

-- name: beat
-- Record the heartbeat, and what the worker runs.
update workers set heartbeat_at = clock_timestamp(), running = %(running)s::jsonb where number = %(number)s;

-- name: durably
-- Make this transaction's commit wait for the disk, on a connection whose other commits do not.
set local synchronous_commit = on;
