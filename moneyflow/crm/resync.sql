-- name: by_id
-- The people of a list of ids, known or not; the guard is the revision.
select asked.position::integer as position, asked.id::text as item_id, contact.revision::text as guard,
    null::jsonb as content
from unnest(%(ids)s::uuid[]) with ordinality as asked (id, position)
left join crm.contacts contact on contact.user_id = asked.id
order by asked.position;

-- name: matching
-- The people who match a filter, those that were synced longest ago first.
select row_number() over (order by synced_at nulls first, user_id)::integer as position, user_id::text as item_id,
    revision::text as guard, null::jsonb as content
from crm.contacts
where (%(states)s::text[] is null or <<state>> = any(%(states)s))
    and (%(errors)s::text[] is null or error = any(%(errors)s) or split_part(error, ' ', 1) = any(%(errors)s));

-- name: contacts
-- The people of items, as they are now.
select user_id, revision, <<state>> as state, error from crm.contacts where user_id = any(%(ids)s);

-- name: lock
-- Lock people in the order of their ids.
select user_id from crm.contacts where user_id = any(%(ids)s) order by user_id for update;

-- name: resync
-- Have people sent, whatever the CRM has; one who is not known here is made known, and removed there.
insert into crm.contacts as contact (user_id, due_at, must_send)
select given.id, given.due_at, true
from unnest(%(ids)s::uuid[], %(revisions)s::bigint[], %(due_at)s::timestamptz[]) as given (id, revision, due_at)
left join crm.contacts known on known.user_id = given.id
where known.revision is not distinct from given.revision
on conflict (user_id) do update set
    due_at = excluded.due_at, must_send = true, revision = contact.revision + 1,
    attempts = 0, error = null, failed_at = null, set_aside_at = null
returning user_id;
