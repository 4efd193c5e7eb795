-- name: totals
-- How many people are in which state, and for how long the oldest change waits.
select
    count(*) filter (where due_at is null and set_aside_at is null and not is_removed) as synced,
    count(*) filter (where due_at is not null) as waiting,
    count(*) filter (where set_aside_at is not null) as set_aside,
    count(*) filter (where due_at is null and set_aside_at is null and is_removed) as removed,
    max(synced_at) as last_synced_at,
    coalesce(extract(epoch from clock_timestamp() - min(changed_at) filter (where due_at is not null)), 0)::float
        as oldest_waiting_seconds
from crm.contacts;

-- name: contacts
-- The people of ids, or those in a state, those that need a look first.
select user_id, <<state>> as state, changed_at, synced_at, synced_version, due_at, attempts, error, failed_at, set_aside_at
from crm.contacts
where (%(ids)s::uuid[] is null or user_id = any(%(ids)s)) and (%(state)s::text is null or <<state>> = %(state)s)
order by set_aside_at desc nulls last, due_at nulls last, synced_at desc nulls last, user_id
limit %(limit)s;
