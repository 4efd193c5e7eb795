-- name: lock_ending
-- Lock sealed batches in which nothing is unfinished any more, as far as this statement sees. Whoever adds to a batch
-- has its row locked for sharing, so such a batch is passed over; and one that another relay is just ending is, too.
select id from batches
where state = 'open' and sealed
  and not exists (
    select from jobs where jobs.batch_id = batches.id and jobs.state in ('scheduled', 'queued', 'running', 'retrying'))
  and not (on_failure = 'wait' and exists (
    select from jobs where jobs.batch_id = batches.id and jobs.state = 'failed'))
limit %(limit)s for update skip locked;

-- name: end
-- End those of the locked batches that have nothing unfinished: this statement sees what was added until the lock was
-- had. Their end jobs are set free with it; under a limit, one goes on waiting for its place.
with ended as (
    update batches set state = 'ended', ended_at = clock_timestamp(), counts = (
        select coalesce(jsonb_object_agg(by_state.state, by_state.jobs), '{}')
        from (select state, count(*) as jobs from jobs where batch_id = batches.id group by state) by_state)
    where id = any(%(ids)s)
      and not exists (
        select from jobs
        where jobs.batch_id = batches.id and jobs.state in ('scheduled', 'queued', 'running', 'retrying'))
      and not (on_failure = 'wait' and exists (
        select from jobs where jobs.batch_id = batches.id and jobs.state = 'failed'))
    returning id, name, counts, end_job_id
), freed as (
    update jobs set held = limit_name is not null, due_at = clock_timestamp()
    from ended where jobs.id = ended.end_job_id and jobs.state = 'scheduled'
)
select id, name, counts, end_job_id from ended;

-- name: broken
-- Batches that a failed member cancels, with members that nobody has asked to stop yet.
select id from batches
where state = 'open' and on_failure = 'cancel'
  and exists (select from jobs where jobs.batch_id = batches.id and jobs.state = 'failed')
  and (exists (
        select from jobs where jobs.batch_id = batches.id and jobs.state in ('scheduled', 'queued', 'retrying'))
    or exists (
        select from jobs
        where jobs.batch_id = batches.id and jobs.state = 'running' and cancel_requested_at is null))
limit %(limit)s;

-- name: cancel_members
-- Cancel members that wait, and ask those that run to stop; in the order of their ids, as everywhere, from `after` on.
-- One statement for both: a member that begins or ends a try at this very moment is locked first and seen as it then is.
with member as (
    select id from jobs
    where batch_id = %(batch_id)s and state in ('scheduled', 'queued', 'running', 'retrying')
      and not (state = 'running' and cancel_requested_at is not null)
      and id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000')
    order by id limit %(limit)s for update
)
update jobs set cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),
    state = case when state = 'running' then state else 'cancelled' end,
    fence = case when state = 'running' then fence else fence + 1 end,
    finished_at = case when state = 'running' then finished_at else clock_timestamp() end,
    unique_key = case when state <> 'running' and unique_while_unfinished then null else unique_key end
from member where jobs.id = member.id
returning jobs.id, jobs.kind, jobs.state;
