-- name: now
-- The moment that decides: Postgres's clock.
select clock_timestamp() as now;

-- name: declare
-- Keep a schedule as the code says it. One that has the same moments as before goes on where it was, and catches up;
-- any other begins with its next tick from now.
insert into schedules (name, kind, cron, time_zone, overlap, catch_up, next_tick_at)
values (%(name)s, %(kind)s, %(cron)s, %(time_zone)s, %(overlap)s, %(catch_up)s, %(next_tick_at)s)
on conflict (name) do update set kind = excluded.kind, cron = excluded.cron, time_zone = excluded.time_zone,
    overlap = excluded.overlap, catch_up = excluded.catch_up, removed_at = null,
    next_tick_at = case
        when schedules.cron = excluded.cron and schedules.time_zone = excluded.time_zone
            and schedules.removed_at is null then schedules.next_tick_at
        else excluded.next_tick_at end;

-- name: remove_others
-- Mark what the code declares no more; `purge` deletes it days later.
update schedules set removed_at = clock_timestamp() where removed_at is null and name <> all(%(names)s)
returning name;

-- name: due
-- Which schedules tick now, and how long until the next one does; no row when none ever will.
select array_agg(name order by next_tick_at) filter (where next_tick_at <= clock_timestamp()) as names,
    extract(epoch from min(next_tick_at) - clock_timestamp())::float as wait_seconds
from schedules where paused_at is null and removed_at is null;

-- name: standing
-- Where a schedule is that ticks now, and whether the job of its last tick has ended.
select next_tick_at, clock_timestamp() as now, exists (
    select from jobs
    where id = schedules.last_job_id and <<unfinished>>) as is_unfinished
from schedules
where name = %(name)s and next_tick_at <= clock_timestamp() and paused_at is null and removed_at is null;

-- name: advance
-- Take the ticks from the expected one on: who moves it, and nobody else, enqueues their jobs, in this transaction.
update schedules set next_tick_at = %(next_tick_at)s, skipped = skipped + %(skipped)s, missed = missed + %(missed)s,
    last_tick_at = coalesce(%(last_tick_at)s, last_tick_at)
where name = %(name)s and next_tick_at = %(expected)s and paused_at is null and removed_at is null;

-- name: note_job
-- Keep the job of the last tick; of one that was asked for by hand, unless the one before has not ended yet.
update schedules set last_job_id = %(job_id)s
where name = %(name)s and not (%(by_hand)s and exists (
    select from jobs
    where id = schedules.last_job_id and <<unfinished>>));

-- name: list
-- Every schedule, with how the job of its last tick is.
select schedules.*, (select <<shown_state>> from jobs where jobs.id = schedules.last_job_id) as last_job_state
from schedules order by name;

-- name: find
-- One schedule.
select * from schedules where name = %(name)s;

-- name: pause
-- Let a schedule tick no more; one that is paused keeps who paused it first.
update schedules set paused_at = clock_timestamp(), paused_by = %(by)s, pause_reason = %(reason)s
where name = %(name)s and paused_at is null;

-- name: resume
-- Let a paused schedule tick again, from its next moment on: what it left out meanwhile was meant to be left out.
update schedules set paused_at = null, paused_by = null, pause_reason = null, next_tick_at = %(next_tick_at)s
where name = %(name)s and paused_at is not null;
