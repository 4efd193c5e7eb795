-- name: matching
-- The jobs that match a filter, the oldest failure first.
select row_number() over (order by finished_at, id)::integer as position, id::text as item_id, fence::text as guard,
    null::jsonb as content
from jobs where state = %(state)s and /* matching */;

-- name: by_id
-- The jobs of a list of ids, known or not.
select asked.position::integer as position, asked.id::text as item_id, jobs.fence::text as guard,
    null::jsonb as content
from unnest(%(ids)s::uuid[]) with ordinality as asked (id, position) left join jobs using (id)
order by asked.position;

-- name: discarded
-- The jobs that another operation discarded.
select row_number() over (order by position)::integer as position, item_id, guard, null::jsonb as content
from operation_items where operation_id = %(origin)s and source = 'jobs' and result = 'discarded';

-- name: jobs
-- The jobs of items, as they are now.
select id, state, fence, kind, version, payload from jobs where id = any(%(ids)s::uuid[]);

-- name: replay
-- Start failed jobs again, due one gap after the other. Their former attempts stay in the history and no longer count;
-- a job under a limit waits for its place as a new one does.
with locked as (
    select jobs.id, asked.place from jobs
    join unnest(%(ids)s::uuid[], %(fences)s::bigint[]) with ordinality as asked (id, fence, place)
        on jobs.id = asked.id and jobs.fence = asked.fence and jobs.state = 'failed'
    order by jobs.id for update of jobs
)
update jobs set <<replayed>>, due_at = %(start)s + make_interval(secs => (locked.place - 1) * %(gap_seconds)s)
from locked where jobs.id = locked.id returning jobs.id;

-- name: discard
-- Discard failed jobs; they keep their fence, their error and the time of their failure.
with locked as (
    select jobs.id from jobs
    join unnest(%(ids)s::uuid[], %(fences)s::bigint[]) as asked (id, fence)
        on jobs.id = asked.id and jobs.fence = asked.fence and jobs.state = 'failed'
    order by jobs.id for update of jobs
)
update jobs set state = 'discarded' from locked where jobs.id = locked.id returning jobs.id;

-- name: restore
-- Make discarded jobs failed again, and let the relay publish their dead letters on jobs_failed again.
with locked as (
    select jobs.id from jobs
    join unnest(%(ids)s::uuid[], %(fences)s::bigint[]) as asked (id, fence)
        on jobs.id = asked.id and jobs.fence = asked.fence and jobs.state = 'discarded'
    order by jobs.id for update of jobs
), restored as (
    update jobs set state = 'failed' from locked where jobs.id = locked.id returning jobs.id, jobs.fence
), dead_letters as (
    insert into job_dead_letters (job_id, fence) select id, fence from restored order by id
)
select id from restored;
