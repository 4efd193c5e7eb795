-- name: group_id
-- The short id of a job's group.
left(md5(concat(kind, chr(31), error_class, chr(31), error_group)), 10);

-- name: matching
-- The condition of a filter: a part that is not given holds for every job.
(%(kinds)s::text[] is null or kind = any(%(kinds)s))
    and (%(states)s::text[] is null or <<shown_state>> = any(%(states)s))
    and (%(error_classes)s::text[] is null or error_class = any(%(error_classes)s))
    and (%(groups)s::text[] is null or /* group_id */ = any(%(groups)s))
    and (%(priorities)s::smallint[] is null or priority = any(%(priorities)s))
    and (%(batches)s::uuid[] is null or batch_id = any(%(batches)s))
    and (%(subjects)s::text[] is null
         or jsonb_path_exists(payload, '$.** ? (@ == $one_of[*])', jsonb_build_object('one_of', %(subjects)s::text[])))
    and (%(since)s::timestamptz is null or /* moment */ >= %(since)s)
    and (%(until)s::timestamptz is null or /* moment */ < %(until)s)
    and (%(text)s::text is null
         or strpos(lower(concat_ws(' ', error_message, payload::text, correlation_id)), lower(%(text)s)) > 0);

-- name: kinds
-- Those of some kinds of which there is a job, and the kinds of all failed or discarded jobs.
select distinct kind from jobs where state = %(state)s
union
select kind from unnest(%(kinds)s::text[]) as asked (kind)
where %(state)s::text is null and exists (select from jobs where jobs.kind = asked.kind);

-- name: groups
-- Those of some groups of which there is a job that has failed.
select distinct /* group_id */ as group from jobs
where (%(state)s::text is null or state = %(state)s) and error_class is not null
    and /* group_id */ = any(%(groups)s);

-- name: batch
-- A batch, if it is there.
select id from batches where id = %(id)s;
