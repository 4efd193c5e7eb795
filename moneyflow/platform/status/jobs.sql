-- name: workers
-- Workers that hold their lock, and those whose jobs are not rescued yet.
select name, started_at, heartbeat_at, threads, coalesce(running, '[]') as running,
    (extract(epoch from clock_timestamp()) - extract(epoch from heartbeat_at))::float as silent_seconds,
    number in (select number from live_workers) as is_alive
from workers
where number in (select worker from jobs where worker is not null)
   or number in (
        select objid::bigint::integer from pg_locks
        where locktype = 'advisory' and granted and classid = 19782 and objsubid = 2
          and database = (select oid from pg_database where datname = current_database()))
order by started_at;

-- name: relays
-- The relays by their connections for the election; the one that holds the lock leads.
select application_name as name, pid in (
    select pid from pg_locks
    where locktype = 'advisory' and granted and objsubid = 1 and classid = 0 and objid = 19783
      and database = (select oid from pg_database where datname = current_database())) as is_leader
from pg_stat_activity
where datname = current_database() and application_name like 'relay leader %' order by is_leader desc, name;

-- name: apis
-- The processes of the API by their connections.
select distinct application_name as name from pg_stat_activity
where datname = current_database() and application_name like 'api %' order by name;

-- name: pauses
-- Paused kinds, the longest pause first.
select kind, paused_by as by, pause_reason as reason, probe_at,
    (extract(epoch from clock_timestamp()) - extract(epoch from paused_at))::float as seconds
from job_kinds where paused_at is not null order by paused_at;

-- name: schedules
-- Declared schedules, the next tick first, each with the alarm in the result of its last job.
select name, next_tick_at, paused_by, (extract(epoch from clock_timestamp()) - extract(epoch from next_tick_at))::float as late_seconds,
    (select result ->> 'alarm' from jobs where jobs.id = last_job_id) as alarm
from schedules where removed_at is null order by next_tick_at;

-- name: unpublished
-- What waits for the relay besides jobs.
select kind, rows, coalesce((extract(epoch from clock_timestamp()) - extract(epoch from oldest_at)), 0)::float as seconds from unpublished;

-- name: dead_events
-- The number of events that each sink could not write, and that wait for an operator.
select sink, count(*) as events from event_dead_letters where state = 'dead' group by sink order by sink;
