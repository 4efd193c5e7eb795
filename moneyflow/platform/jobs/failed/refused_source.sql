-- name: found
-- The messages that were read from jobs_failed, and the names of those that are not there.
select found.position::integer as position, found.item_id, null::text as guard, found.content
from unnest(%(fingerprints)s::text[], %(contents)s::jsonb[]) with ordinality as found (item_id, content, position);

-- name: discarded
-- The messages that another operation discarded; the guard names the discard.
select row_number() over (order by position)::integer as position, item_id,
    concat(operation_id, ':', position) as guard, content
from operation_items where operation_id = %(origin)s and source = 'refused_messages' and result = 'discarded';

-- name: marked
-- The items that a run had marked before it was killed.
select position from operation_items
where operation_id = %(id)s and position = any(%(positions)s::integer[]) and guard = 'marked';

-- name: mark
-- Mark items before their messages leave the queue.
update operation_items set guard = 'marked'
where operation_id = %(id)s and position = any(%(positions)s::integer[]) and result is null;

-- name: lock_discarded
-- Lock discards that were not restored yet, so that two operators restore each message once.
select operation_id, position from operation_items
where (operation_id, position) in (select * from unnest(%(ids)s::uuid[], %(positions)s::integer[]))
    and result = 'discarded'
order by operation_id, position for update;

-- name: mark_restored
-- Keep with the discards that their messages were restored.
update operation_items set result = 'restored', done_at = clock_timestamp()
where (operation_id, position) in (select * from unnest(%(ids)s::uuid[], %(positions)s::integer[]))
    and result = 'discarded';
