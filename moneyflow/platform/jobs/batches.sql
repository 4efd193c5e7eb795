-- name: open
-- Insert a batch.
insert into batches (id, name, on_failure, sealed, end_job_id, owner_id)
values (%(id)s, %(name)s, %(on_failure)s, %(sealed)s, %(end_job_id)s, %(owner_id)s);

-- name: owned
-- A batch that the owner, or an administrator, may read.
select id from batches where id = %(id)s and (owner_id = %(owner_id)s or %(sees_all)s);

-- name: is_new
-- Whether a job was inserted by this transaction, and for no other batch.
select waits_for = 'batch' and enqueued_at >= transaction_timestamp()
    and not exists (select from batches where end_job_id = jobs.id) as is_new
from jobs where id = %(id)s;

-- name: keep_open
-- Lock a batch against its end until the transaction ends. The lock is shared: any number of transactions may add at once,
-- and none updates the row.
select state from batches where id = %(id)s for key share;

-- name: seal
-- Mark an open batch as complete: no jobs follow.
update batches set sealed = true where id = %(id)s and state = 'open' and not sealed;

-- name: lock
-- Lock a batch exclusively: wait for transactions that add to it, and keep out others until this one ends.
select state, end_job_id from batches where id = %(id)s for update;

-- name: cancel
-- Cancel an open batch and its end job.
with cancelled as (
    update batches set state = 'cancelled', sealed = true, ended_at = clock_timestamp(), cancel_reason = %(reason)s
    where id = %(id)s and state = 'open' returning end_job_id
)
update jobs set state = 'cancelled', <<ended>>, cancel_requested_at = clock_timestamp(), fence = fence + 1
from cancelled where jobs.id = cancelled.end_job_id and jobs.state = 'scheduled';

-- name: status
-- Batches, the newest first, with their counts by state: stored when the batch ended, counted now while it is open.
select id, name, on_failure, state, sealed, end_job_id, cancel_reason, created_at, ended_at, owner_id,
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

-- name: refuse
-- Keep a refused line; a member that runs again keeps it once.
insert into batch_refusals (batch_id, line, reason) values (%(batch_id)s, %(line)s, %(reason)s)
on conflict (batch_id, line) do nothing;

-- name: refused
-- The refused lines of a batch.
select line, reason from batch_refusals where batch_id = %(id)s order by line;
