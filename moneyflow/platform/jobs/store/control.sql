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

-- name: paused
-- Paused kinds.
select kind, paused_at, paused_by, pause_reason, probe_at from job_kinds where paused_at is not null order by kind;

-- name: choose_probes
-- Choose a probe, due now, for each kind whose breaker is open and whose wait has passed: the job that was due first among
-- those that wait for a retry or are due.
with due as (
    select kind from job_kinds
    where paused_at is not null and probe_at <= clock_timestamp()
      and not exists (select 1 from jobs where jobs.id = probe_job_id and state in ('queued', 'running'))
    for update skip locked
), chosen as (
    select due.kind, found.id from due, lateral (
        select id from jobs
        where jobs.kind = due.kind and <<publishable>>
          and (attempt > 0 or due_at <= clock_timestamp())
        order by due_at limit 1
    ) found
), now_due as (
    update jobs set due_at = least(due_at, clock_timestamp()) from chosen where jobs.id = chosen.id
)
update job_kinds set probe_job_id = chosen.id, probe_at = clock_timestamp() + make_interval(secs => probe_wait_seconds)
from chosen where job_kinds.kind = chosen.kind
returning job_kinds.kind, probe_job_id;
