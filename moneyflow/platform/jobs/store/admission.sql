-- name: admit
-- Give the free places of each limit to jobs that wait for one, the highest priority first, key by key. A job holds its
-- place until it ends or waits for its next attempt, so no more jobs start than the limit allows, on any worker. For a
-- rate, an admitted job that has not started counts as a start, so no window has more starts than the limit.
with recursive limits as (
    select * from unnest(%(names)s::text[], %(concurrency)s::integer[], %(per_key)s::integer[],
                         %(rate_limits)s::integer[], %(rate_seconds)s::double precision[])
        as limits (name, concurrency, per_key, rate_limit, rate_seconds)
    where exists (select 1 from jobs where limit_name = limits.name and <<waiting_for_limit>>)
), free as (
    select limits.*, greatest(0, least(%(limit)s, <<free_places>>)) as places
    from limits
), pairs as (
    select name, (select min(limit_key) from jobs
                  where limit_name = name and <<waiting_for_limit>>) as key
    from free where places > 0
    union all
    select name, (select min(limit_key) from jobs where limit_name = pairs.name and limit_key > pairs.key
                  and <<waiting_for_limit>>)
    from pairs where key is not null
), chosen as (
    select found.id, places, row_number() over (partition by name order by found.priority desc, found.due_at) as place
    from pairs join free using (name), lateral (
        select id, priority, due_at from jobs
        where limit_name = pairs.name and limit_key = pairs.key and <<waiting_for_limit>>
          and due_at <= clock_timestamp() and <<not_paused>>
        order by priority desc, due_at
        limit greatest(0, least(places, per_key - (
            select count(*) from jobs where limit_name = pairs.name and limit_key = pairs.key and waits_for is null
            and <<unfinished>>)))
    ) found
    where key is not null
)
update jobs set waits_for = null from chosen
where jobs.id = chosen.id and place <= places and <<waiting_for_limit>>
returning jobs.id;

-- name: places
-- The places of each limit: used and free. A rate's are those of its current window; a limit of keys alone has no number
-- of free ones.
with limits as (
    select * from unnest(%(names)s::text[], %(concurrency)s::integer[], %(rate_limits)s::integer[],
                         %(rate_seconds)s::double precision[])
        as limits (name, concurrency, rate_limit, rate_seconds)
), counted as (
    select limits.*, greatest(0, <<free_places>>) as free, <<free_places>> is null as is_open,
        (select count(*) from jobs where limit_name = limits.name and waits_for is null and <<unfinished>>) as held
    from limits
)
select name, case when concurrency is null and rate_limit is not null then rate_limit - free else held end as used,
    case when not is_open then free end as free
from counted;

-- name: unknown_limits
-- Limits that jobs wait for and that this version does not declare.
with recursive names (name) as (
    select min(limit_name) from jobs where <<waiting_for_limit>>
    union all
    select (select min(limit_name) from jobs where limit_name > name and <<waiting_for_limit>>)
    from names where name is not null
)
select name from names where name is not null and name <> all(%(names)s);

-- name: longest_waits
-- Limits, the next job of one of whose keys has waited for a place for too long, and its seconds. Jobs of paused kinds do
-- not count. PERF: two index lookups for each key.
with recursive pairs (name, key) as (
    (select limit_name, limit_key from jobs where <<waiting_for_limit>> order by limit_name, limit_key limit 1)
    union all
    select following.* from pairs, lateral (
        select limit_name, limit_key from jobs
        where <<waiting_for_limit>> and (limit_name, limit_key) > (pairs.name, pairs.key)
        order by limit_name, limit_key limit 1
    ) following
), waits as (
    select name, kind, extract(epoch from clock_timestamp() - due_at)::float as seconds from pairs, lateral (
        select kind, due_at from jobs
        where limit_name = pairs.name and limit_key = pairs.key and <<waiting_for_limit>>
        order by priority desc, due_at limit 1
    ) next
)
select name, max(seconds) as seconds from waits
where seconds > %(seconds)s and kind not in <<paused_kinds>> group by name order by name;

-- name: purge_starts
-- Delete starts that are older than every window.
delete from job_starts where started_at < clock_timestamp() - make_interval(secs => %(seconds)s);
