-- name: open
-- Insert a batch.
insert into batches (id, name, on_failure, sealed, end_job_id)
values (%(id)s, %(name)s, %(on_failure)s, %(sealed)s, %(end_job_id)s);

-- name: is_fresh
-- Say whether a job was made by this very transaction, and for no other batch.
select waits_for = 'batch' and enqueued_at >= transaction_timestamp()
    and not exists (select from batches where end_job_id = jobs.id) as is_fresh
from jobs where id = %(id)s;

-- name: keep_open
-- Hold an open batch open until the transaction ends. For sharing: any number may add at once, and nothing is updated.
select state from batches where id = %(id)s for key share;

-- name: seal
-- Say that no more jobs are to come.
update batches set sealed = true where id = %(id)s and state = 'open' and not sealed;

-- name: lock
-- Wait for whoever adds to a batch, and let nobody add or end it until the transaction ends.
select state, end_job_id from batches where id = %(id)s for update;

-- name: cancel
-- Cancel an open batch, and the job that was to run at its end.
with cancelled as (
    update batches set state = 'cancelled', sealed = true, ended_at = clock_timestamp(), cancel_reason = %(reason)s
    where id = %(id)s and state = 'open' returning end_job_id
)
update jobs set state = 'cancelled', <<ended>>, cancel_requested_at = clock_timestamp(), fence = fence + 1
from cancelled where jobs.id = cancelled.end_job_id and jobs.state = 'scheduled';

-- name: status
-- Batches, the newest first, with their counts by state: those that were kept at the end, else those of this moment.
select id, name, on_failure, state, sealed, end_job_id, cancel_reason, created_at, ended_at,
    coalesce(counts, (
        select jsonb_object_agg(by_state.state, by_state.jobs)
        from (select <<shown_state>> as state, count(*) as jobs from jobs where batch_id = batches.id group by 1) by_state
    ), '{}') as counts
from batches where id = any(%(ids)s) order by id desc;

-- name: recent
-- The newest batches that are in one of the states.
select id from batches where state = any(%(states)s) order by id desc limit %(limit)s;

-- name: of_job
-- The batch that a job is a member of, or that it is the end of.
select batch_id as id from jobs where id = %(job_id)s and batch_id is not null
union all
select id from batches where end_job_id = %(job_id)s;

-- name: lock_finished
-- Lock sealed batches in which nothing is unfinished any more, as far as this statement sees. Whoever adds to a batch
-- has its row locked for sharing, so such a batch is passed over; and one that another relay is just ending is, too.
select id from batches
where state = 'open' and sealed
  and not exists (
    select from jobs where jobs.batch_id = batches.id and <<unfinished>>)
  and not (on_failure = 'wait' and exists (
    select from jobs where jobs.batch_id = batches.id and jobs.state = 'failed'))
limit %(limit)s for update skip locked;

-- name: end
-- End those of the locked batches that have nothing unfinished: this statement sees what was added until the lock was
-- taken. Their end jobs are released with it; under a limit, one then waits for its place.
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
), freed as (
    update jobs set waits_for = <<limit_or_nothing>>, due_at = clock_timestamp()
    from ended where jobs.id = ended.end_job_id and jobs.state = 'scheduled'
)
select id, name, counts, end_job_id from ended;

-- name: broken
-- Batches that a failed member cancels, with members that nobody has asked to stop yet.
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
-- Cancel members that wait, and ask those that run to stop; in the order of their ids, as everywhere, from `after` on.
-- One statement for both: a member whose attempt starts or ends at this moment is locked first and seen as it then is.
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
