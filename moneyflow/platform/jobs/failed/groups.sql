-- name: group_id
-- The short id of a job's group.
left(md5(concat(kind, chr(31), error_class, chr(31), error_group)), 10);

-- name: matching
-- The condition of a filter: a part that is not given holds for every job.
(%(kinds)s::text[] is null or kind = any(%(kinds)s))
    and (%(error_classes)s::text[] is null or error_class = any(%(error_classes)s))
    and (%(groups)s::text[] is null or /* group_id */ = any(%(groups)s))
    and (%(priorities)s::smallint[] is null or priority = any(%(priorities)s))
    and (%(since)s::timestamptz is null or finished_at >= %(since)s)
    and (%(until)s::timestamptz is null or finished_at < %(until)s)
    and (%(text)s::text is null
         or strpos(lower(concat_ws(' ', error_message, payload::text, correlation_id)), lower(%(text)s)) > 0);

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

-- name: kinds
-- The kinds of the jobs in a state.
select distinct kind from jobs where state = %(state)s order by kind;

-- name: states_and_fences
-- State and fence of those jobs that exist.
select id, state, fence from jobs where id = any(%(ids)s);
