-- name: now
-- The time of Postgres's clock, by which schedules tick.
select clock_timestamp() as now;

-- name: declare
-- Write a schedule as the code declares it. With the same cron and time zone as before it keeps its next tick, and catches
-- up; otherwise its next tick is the first one from now.
insert into schedules (name, kind, cron, time_zone, overlap, catch_up, next_tick_at)
values (%(name)s, %(kind)s, %(cron)s, %(time_zone)s, %(overlap)s, %(catch_up)s, %(next_tick_at)s)
on conflict (name) do update set kind = excluded.kind, cron = excluded.cron, time_zone = excluded.time_zone,
    overlap = excluded.overlap, catch_up = excluded.catch_up, removed_at = null,
    next_tick_at = case
        when schedules.cron = excluded.cron and schedules.time_zone = excluded.time_zone
            and schedules.removed_at is null then schedules.next_tick_at
        else excluded.next_tick_at end;

-- name: remove_others
-- Mark schedules that the code no longer declares; `purge` deletes them later.
update schedules set removed_at = clock_timestamp() where removed_at is null and name <> all(%(names)s)
returning name;

-- name: due
-- The schedules that tick now, and the seconds until the next tick; nulls when no schedule has one.
select array_agg(name order by next_tick_at) filter (where next_tick_at <= clock_timestamp()) as names,
    (extract(epoch from min(next_tick_at)) - extract(epoch from clock_timestamp()))::float as wait_seconds
from schedules where paused_at is null and removed_at is null;

-- name: tick_of
-- The due tick of a schedule, and whether the job of its last tick is unfinished.
select next_tick_at, clock_timestamp() as now, exists (
    select from jobs
    where id = schedules.last_job_id and <<unfinished>>) as is_unfinished
from schedules
where name = %(name)s and next_tick_at <= clock_timestamp() and paused_at is null and removed_at is null;

-- name: advance
-- Advance a schedule from the expected tick: the transaction that does so, and no other, enqueues the jobs.
update schedules set next_tick_at = %(next_tick_at)s, skipped = skipped + %(skipped)s, missed = missed + %(missed)s,
    last_tick_at = coalesce(%(last_tick_at)s, last_tick_at)
where name = %(name)s and next_tick_at = %(expected)s and paused_at is null and removed_at is null;

-- name: set_last_job
-- Record the job of a tick as the last job; a job that an operator ran only when the last job has ended.
update schedules set last_job_id = %(job_id)s
where name = %(name)s and not (%(by_hand)s and exists (
    select from jobs
    where id = schedules.last_job_id and <<unfinished>>));

-- name: list
-- Every schedule, with the state of its last job.
select schedules.*, (select <<shown_state>> from jobs where jobs.id = schedules.last_job_id) as last_job_state
from schedules order by name;

-- name: find
-- One schedule.
select * from schedules where name = %(name)s;

-- name: pause
-- Pause a schedule; one that is paused keeps its first pause.
update schedules set paused_at = clock_timestamp(), paused_by = %(by)s, pause_reason = %(reason)s
where name = %(name)s and paused_at is null;

-- name: resume
-- Resume a paused schedule at its next tick: the ticks of the pause are not caught up.
update schedules set paused_at = null, paused_by = null, pause_reason = null, next_tick_at = %(next_tick_at)s
where name = %(name)s and paused_at is not null;
