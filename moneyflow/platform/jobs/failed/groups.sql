-- name: groups
-- Failed jobs by kind, error class and normalised message, the most numerous first; the sample is the newest failure.
with grouped as (
    select kind, error_class, error_group, count(*) as jobs, min(finished_at) as first_at, max(finished_at) as last_at,
        (array_agg(id order by finished_at desc))[1] as sample_id
    from jobs where state = 'failed' and /* matching */
    group by kind, error_class, error_group
)
select /* group_id */ as group, grouped.*,
    (select error_message from jobs where jobs.id = sample_id) as sample_message
from grouped order by jobs desc, last_at desc;

-- name: page
-- Failed or discarded jobs, the newest failure first.
select id, kind, version, priority, state, attempt, error_class, error_message, /* group_id */ as group, enqueued_at,
    finished_at, correlation_id, count(*) over () as total
from jobs where state = %(state)s and /* matching */
order by finished_at desc nulls last, id limit %(limit)s;

-- name: states_and_fences
-- State and fence of those jobs that exist.
select id, state, fence from jobs where id = any(%(ids)s);
