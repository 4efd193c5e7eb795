-- name: register
-- Give a new worker its number, and forget workers that have been gone for days.
with forgotten as (delete from workers where heartbeat_at < clock_timestamp() - interval '7 days')
insert into workers (name, lease_seconds) values (%(name)s, %(lease_seconds)s) returning number;

-- name: lock
-- Hold the number's lock until the session ends, however it ends.
select pg_advisory_lock(%(lock_class)s, %(number)s);

-- name: beat
-- Say that the worker moves.
update workers set heartbeat_at = clock_timestamp() where number = %(number)s;

-- name: durably
-- Let this transaction's commit wait for the disk, on a connection whose others do not.
set local synchronous_commit = on;
