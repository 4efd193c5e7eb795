-- name: cancel
-- Cancel jobs that wait; ask those that run to stop. A job that has ended is not changed.
with found as (
    select id, state, <<waiting>> as is_waiting from jobs where id = any(%(ids)s::uuid[]) order by id for update
), ended as (
    update jobs set state = 'cancelled', <<ended>>, cancel_requested_at = clock_timestamp(), fence = fence + 1
    from found where jobs.id = found.id and is_waiting
    returning jobs.id
), asked as (
    update jobs set cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
    from found where jobs.id = found.id and found.state = 'running'
    returning jobs.id
)
select found.id, state, case when ended.id is not null then 'cancelled' when asked.id is not null then 'running' end as end
from found left join ended using (id) left join asked using (id);

-- name: pause
-- Pause a kind. An operator's pause replaces a breaker's, never the reverse.
insert into job_kinds (kind, paused_at, paused_by, pause_reason, probe_at, probe_wait_seconds)
values (%(kind)s, clock_timestamp(), %(by)s, %(reason)s,
        clock_timestamp() + make_interval(secs => %(probe_seconds)s), %(probe_seconds)s)
on conflict (kind) do update set paused_at = clock_timestamp(), paused_by = excluded.paused_by,
    pause_reason = excluded.pause_reason, probe_job_id = null, probe_at = excluded.probe_at,
    probe_wait_seconds = excluded.probe_wait_seconds
where job_kinds.paused_at is null or excluded.probe_at is null
returning kind;

-- name: resume
-- End the pause of a kind; with a job id, only when that job is the kind's probe.
update job_kinds set paused_at = null, probe_job_id = null, probe_at = null
where kind = %(kind)s and paused_at is not null
  and (%(probe_job_id)s::uuid is null or probe_job_id = %(probe_job_id)s)
returning kind, paused_by, pause_reason;

-- name: probe_failed
-- Double the wait for the next probe.
update job_kinds set probe_job_id = null, probe_at = clock_timestamp() + make_interval(secs => probe_wait_seconds),
    probe_wait_seconds = least(2 * probe_wait_seconds, %(longest_seconds)s)
where kind = %(kind)s and probe_job_id = %(probe_job_id)s;

-- name: probe_inconclusive
-- Let another job probe at once.
update job_kinds set probe_job_id = null, probe_at = clock_timestamp()
where kind = %(kind)s and probe_job_id = %(probe_job_id)s;

-- name: paused
-- Paused kinds.
select kind, paused_at, paused_by, pause_reason, probe_at from job_kinds where paused_at is not null order by kind;

-- name: paused_seconds
-- Paused kinds, by whom, and the seconds since then.
select kind, paused_by, (extract(epoch from clock_timestamp()) - extract(epoch from paused_at))::float as seconds
from job_kinds where paused_at is not null;

-- name: choose_probes
-- Choose a probe, due now, for each kind whose breaker is open and whose wait has passed: the most urgent due job that has
-- not failed since the pause, and only without one a job that has, or that waits for a retry. A job under a limit is
-- admitted before it starts, as ever. PERF: each branch reads the next rows of an index, also of a kind with a million.
with due as (
    select kind, paused_at from job_kinds
    where paused_at is not null and probe_at <= clock_timestamp()
      and not exists (select 1 from jobs where jobs.id = probe_job_id and state in ('queued', 'running'))
    for update skip locked
), candidates as (
    select due.kind, level.priority, found.* from due, generate_series(10, 0, -1) as level (priority), lateral (
        (select id, due_at, false as is_second_choice from jobs
         where jobs.kind = due.kind and jobs.priority = level.priority and <<publishable>> and <<fresh>>
         order by due_at limit 1)
        union all
        (select id, due_at, false from jobs
         where jobs.kind = due.kind and jobs.priority = level.priority and <<waiting_for_limit>> and <<fresh>>
         order by due_at limit 1)
        union all
        (select id, due_at, true from (
            select id, due_at, attempt from jobs
            where jobs.kind = due.kind and jobs.priority = level.priority and <<publishable>> order by due_at limit 1000
         ) next where attempt > 0 or due_at <= clock_timestamp() order by due_at limit 1)
        union all
        (select id, due_at, true from (
            select id, due_at, attempt from jobs
            where jobs.kind = due.kind and jobs.priority = level.priority and <<waiting_for_limit>> order by due_at limit 1000
         ) next where attempt > 0 or due_at <= clock_timestamp() order by due_at limit 1)
    ) found
), chosen as (
    select distinct on (kind) kind, id from candidates
    order by kind, is_second_choice, due_at > clock_timestamp(), priority desc, due_at
), now_due as (
    update jobs set due_at = least(due_at, clock_timestamp()) from chosen where jobs.id = chosen.id
)
update job_kinds set probe_job_id = chosen.id, probe_at = clock_timestamp() + make_interval(secs => probe_wait_seconds)
from chosen where job_kinds.kind = chosen.kind
returning job_kinds.kind, probe_job_id;

-- name: release_places
-- Free the places under limits that jobs of paused kinds hold without running: other kinds may share the limit, and a more
-- urgent job may be the probe. A job that is queued gives its place up once its message has come. PERF: an array of the
-- kinds, so that the index of due jobs is read for these alone: none, nearly always.
with held as (
    select id from jobs
    where kind = any(array<<paused_kinds>>) and <<publishable>> and limit_name is not null and id not in <<probes>>
    order by id for update skip locked
)
update jobs set waits_for = 'limit' from held where jobs.id = held.id;
