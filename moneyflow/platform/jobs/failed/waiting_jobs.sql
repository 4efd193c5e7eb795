-- name: matching
-- The unfinished jobs that match a filter, the oldest first. Each part reads its own index: a scan would read all finished
-- jobs.
select row_number() over (order by id)::integer as position, id::text as item_id, fence::text as guard,
    jsonb_build_object('state', state) as content
from (
    select id, fence, state from jobs where <<publishable>> and /* matching */
    union all
    select id, fence, state from jobs where <<waiting_for_limit>> and /* matching */
    union all
    select id, fence, state from jobs
    where id in (select end_job_id from batches where batches.state = 'open')
        and state = 'scheduled' and waits_for = 'batch' and /* matching */
    union all
    select id, fence, state from jobs where state = 'queued' and /* matching */
    union all
    select id, fence, state from jobs where state = 'running' and worker is not null and /* matching */
) unfinished;

-- name: by_id
-- The jobs of a list of ids, known or not.
select asked.position::integer as position, asked.id::text as item_id, jobs.fence::text as guard,
    jsonb_build_object('state', jobs.state) as content
from unnest(%(ids)s::uuid[]) with ordinality as asked (id, position) left join jobs using (id)
order by asked.position;

-- name: jobs
-- The jobs of items, as they are now.
select id, state, fence, waits_for, cancel_requested_at is not null as is_asked, due_at <= clock_timestamp() as is_due,
    kind in <<paused_kinds>> as is_paused
from jobs where id = any(%(ids)s::uuid[]);

-- name: run_now
-- Make scheduled jobs due, one gap after the other; a job under a limit still waits for its place.
with locked as (
    select jobs.id, asked.place from jobs
    join unnest(%(ids)s::uuid[], %(fences)s::bigint[]) with ordinality as asked (id, fence, place)
        on jobs.id = asked.id and jobs.fence = asked.fence and jobs.state = 'scheduled'
            and jobs.waits_for is distinct from 'batch'
    order by jobs.id for update of jobs
)
update jobs set due_at = %(start)s + make_interval(secs => (locked.place - 1) * %(gap_seconds)s)
from locked where jobs.id = locked.id returning jobs.id;

-- name: find
-- The newest jobs that match a filter, in any state.
select id, kind, <<shown_state>> as state, priority, attempt, max_attempts, enqueued_at, <<shown_due_at>> as due_at, started_at,
    finished_at, waits_for, batch_id, parked_reason, error_class, error_message
from jobs where /* matching */
order by id desc limit %(limit)s;
