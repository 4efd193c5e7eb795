-- name: lock_finished
-- Lock sealed batches in which this statement sees no unfinished member. A batch is skipped while a transaction adds to it,
-- which holds a shared lock, and while another relay ends it.
select id from batches
where state = 'open' and sealed
  and not exists (
    select from jobs where jobs.batch_id = batches.id and <<unfinished>>)
  and not (on_failure = 'wait' and exists (
    select from jobs where jobs.batch_id = batches.id and jobs.state = 'failed'))
limit %(limit)s for update skip locked;

-- name: end
-- End those of the locked batches that have no unfinished member: this statement sees each member that was added before
-- the lock was taken. Release their end jobs; one under a limit then waits for its place.
with ended as (
    update batches set state = 'ended', ended_at = clock_timestamp(), counts = (
        select coalesce(jsonb_object_agg(by_state.state, by_state.jobs), '{}')
        from (select state, count(*) as jobs from jobs where batch_id = batches.id group by state) by_state)
    where id = any(%(ids)s)
      and not exists (
        select from jobs
        where jobs.batch_id = batches.id and <<unfinished>>)
      and not (on_failure = 'wait' and exists (
        select from jobs where jobs.batch_id = batches.id and jobs.state = 'failed'))
    returning id, name, counts, end_job_id
), released as (
    update jobs set waits_for = <<limit_or_nothing>>, due_at = clock_timestamp()
    from ended where jobs.id = ended.end_job_id and jobs.state = 'scheduled'
)
select id, name, counts, end_job_id from ended;

-- name: failed
-- Batches that a failed member cancels, with members that were not cancelled or asked to stop yet.
select id from batches
where state = 'open' and on_failure = 'cancel'
  and exists (select from jobs where jobs.batch_id = batches.id and jobs.state = 'failed')
  and (exists (
        select from jobs where jobs.batch_id = batches.id and <<waiting>>)
    or exists (
        select from jobs
        where jobs.batch_id = batches.id and jobs.state = 'running' and cancel_requested_at is null))
limit %(limit)s;

-- name: cancel_members
-- Cancel members that wait and ask those that run to stop, in the order of their ids, as in every statement, above `after`.
-- One statement does both: a member whose attempt starts or ends meanwhile is locked first, and its new state is read.
with member as (
    select id, state from jobs
    where batch_id = %(batch_id)s and <<unfinished>> and not (state = 'running' and cancel_requested_at is not null)
      and id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000')
    order by id limit %(limit)s for update
), asked as (
    update jobs set cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
    from member where jobs.id = member.id and member.state = 'running'
    returning jobs.id, jobs.kind, jobs.state
), ended as (
    update jobs set state = 'cancelled', <<ended>>, cancel_requested_at = clock_timestamp(), fence = fence + 1
    from member where jobs.id = member.id and member.state <> 'running'
    returning jobs.id, jobs.kind, jobs.state
)
select id, kind, state from asked union all select id, kind, state from ended;
