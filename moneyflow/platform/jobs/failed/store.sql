-- name: begin
-- Keep who does what and why, before anything is done.
insert into operations (id, verb, asked_by, reason, filter, rate_per_second, canary)
values (%(id)s, %(verb)s, %(asked_by)s, %(reason)s, %(filter)s, %(rate_per_second)s, %(canary)s);

-- name: freeze
-- Freeze the set of a filter: its jobs as they are now, the oldest failure first.
insert into operation_items (operation_id, position, job_id, fence)
select %(operation_id)s, row_number() over (order by finished_at, id), id, fence from jobs
where state = %(state)s and /* matching */;

-- name: freeze_ids
-- Freeze a set of jobs that were named one by one, known or not.
insert into operation_items (operation_id, position, job_id, fence)
select %(operation_id)s, asked.position, asked.id, jobs.fence
from unnest(%(ids)s::uuid[]) with ordinality as asked (id, position) left join jobs using (id);

-- name: freeze_discarded
-- Freeze what another operation discarded.
insert into operation_items (operation_id, position, job_id, fence)
select %(operation_id)s, row_number() over (order by position), job_id, fence from operation_items
where operation_id = %(source)s and result = 'discarded' and job_id is not null;

-- name: count_items
-- Say how many were frozen.
update operations set items = (select count(*) from operation_items where operation_id = %(id)s) where id = %(id)s
returning items;

-- name: lock
-- Hold the operation, so that two who resume it go on in turn; and say from when its next jobs may be due.
select *, greatest(clock_timestamp(), paced_until) as paced_from from operations where id = %(id)s for update;

-- name: next_items
-- Those that nothing was done about yet, in the order in which they were frozen, with their jobs as they are now.
select item.position, item.job_id, item.fence, jobs.state, jobs.fence as fence_now, kind, version, payload
from operation_items item left join jobs on jobs.id = item.job_id
where item.operation_id = %(id)s and item.position > %(after)s and item.result is null and item.message is null
order by item.position limit %(limit)s;

-- name: candidates
-- What a filter would freeze, page by page.
select id as job_id, fence, state, fence as fence_now, kind, version, payload from jobs
where state = %(state)s and id > %(after)s and /* matching */ order by id limit %(limit)s;

-- name: candidates_by_id
-- What a list of ids would freeze.
select asked.id as job_id, fence, state, fence as fence_now, kind, version, payload
from unnest(%(ids)s::uuid[]) with ordinality as asked (id, position) left join jobs using (id) order by position;

-- name: candidates_discarded
-- What the restore of another operation would freeze.
select item.job_id, item.fence, state, jobs.fence as fence_now, kind, version, payload
from operation_items item left join jobs on jobs.id = item.job_id
where operation_id = %(source)s and result = 'discarded' and job_id is not null order by position;

-- name: replay
-- Begin failed jobs anew, due one gap after the other. Their old tries stay in the history and do not count any more;
-- one under a limit waits for its place as a new one does.
with held as (
    select jobs.id, asked.place from jobs
    join unnest(%(ids)s::uuid[], %(fences)s::bigint[]) with ordinality as asked (id, fence, place)
        on jobs.id = asked.id and jobs.fence = asked.fence and jobs.state = 'failed'
    order by jobs.id for update of jobs
)
update jobs set state = 'scheduled', due_at = %(start)s + make_interval(secs => (held.place - 1) * %(gap_seconds)s),
    attempt = 0, quarantined = false, fence = fence + 1, finished_at = null,
    waits_for = case when limit_name is not null then 'limit' end,
    cancel_requested_at = null, parked_reason = null, progress = null
from held where jobs.id = held.id returning jobs.id;

-- name: discard
-- Set failed jobs aside; they keep their fence, their error and the moment of their failure.
with held as (
    select jobs.id from jobs
    join unnest(%(ids)s::uuid[], %(fences)s::bigint[]) as asked (id, fence)
        on jobs.id = asked.id and jobs.fence = asked.fence and jobs.state = 'failed'
    order by jobs.id for update of jobs
)
update jobs set state = 'discarded' from held where jobs.id = held.id returning jobs.id;

-- name: restore
-- Bring discarded jobs back to what they were, and let the relay put their letters on jobs_failed again.
with held as (
    select jobs.id from jobs
    join unnest(%(ids)s::uuid[], %(fences)s::bigint[]) as asked (id, fence)
        on jobs.id = asked.id and jobs.fence = asked.fence and jobs.state = 'discarded'
    order by jobs.id for update of jobs
), back as (
    update jobs set state = 'failed' from held where jobs.id = held.id returning jobs.id, jobs.fence
), letters as (
    insert into job_dead_letters (job_id, fence) select id, fence from back order by id
)
select id from back;

-- name: record
-- Keep what became of each, in the transaction that did it.
update operation_items item set result = told.result, detail = told.detail, done_at = clock_timestamp()
from unnest(%(positions)s::integer[], %(results)s::text[], %(details)s::text[]) as told (position, result, detail)
where item.operation_id = %(id)s and item.position = told.position;

-- name: keep_messages
-- Keep messages that have no job, with their bytes.
insert into operation_items (operation_id, position, message, result, done_at)
select %(id)s, position, message, %(result)s, case when %(result)s::text is not null then clock_timestamp() end
from unnest(%(positions)s::integer[], %(messages)s::jsonb[]) as kept (position, message);

-- name: messages
-- The messages that an operation discarded.
select position, message from operation_items
where operation_id = %(id)s and message is not null and result = 'discarded' order by position;

-- name: pace
-- Note until when the operation's jobs are spread.
update operations set paced_until = %(until)s where id = %(id)s;

-- name: change_state
-- Say where the operation stands.
update operations set state = %(state)s, ended_at = case when %(state)s = 'ended' then clock_timestamp() end
where id = %(id)s;

-- name: end_canary
-- Note that the canary is decided about: that it has succeeded, or that an operator goes on all the same.
update operations set canary_ended_at = clock_timestamp() where id = %(id)s;

-- name: canary
-- How the first jobs of an operation have ended by now.
select jobs.id, jobs.state, jobs.error_class, jobs.error_message
from operation_items item join jobs on jobs.id = item.job_id
where item.operation_id = %(id)s and item.result = 'replayed' order by item.position;

-- name: operation
-- One operation.
select operations.*, (select count(*) from operation_items where operation_id = %(id)s and result is null) as open_items
from operations where id = %(id)s;

-- name: operations
-- The newest operations, with what is left of each.
select operations.*, (select count(*) from operation_items where operation_id = operations.id and result is null)
    as open_items
from operations order by created_at desc limit %(limit)s;

-- name: results
-- How many of an operation ended how.
select coalesce(result, 'open') as result, count(*) as items from operation_items where operation_id = %(id)s
group by result order by items desc;

-- name: items
-- What became of each.
select position, job_id, fence, result, detail, done_at, message from operation_items where operation_id = %(id)s
order by position;
