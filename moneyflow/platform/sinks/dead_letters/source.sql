-- name: matching
-- The dead letters that match a filter, in the order in which their sinks read them.
select row_number() over (order by sink, topic, partition, kafka_offset)::integer as position, id::text as item_id,
    attempts::text as guard, null::jsonb as content
from event_dead_letters where state = %(state)s and /* matching */;

-- name: by_id
-- The dead letters of a list of ids, known or not.
select asked.position::integer as position, asked.id::text as item_id, letter.attempts::text as guard,
    null::jsonb as content
from unnest(%(ids)s::uuid[]) with ordinality as asked (id, position) left join event_dead_letters letter using (id)
order by asked.position;

-- name: discarded
-- The dead letters that another operation discarded.
select row_number() over (order by position)::integer as position, item_id, guard, null::jsonb as content
from operation_items where operation_id = %(origin)s and source = 'dead_letters' and result = 'discarded';

-- name: dead_letters
-- The dead letters of items, as they are now.
select id, state, attempts, due_by, error_class, error_message from event_dead_letters where id = any(%(ids)s::uuid[]);

-- name: lock
-- Lock dead letters in the order of their ids.
select id from event_dead_letters where id = any(%(ids)s::uuid[]) order by id for update;

-- name: verifications
-- What has become of dead letters by now, in the order of the ids.
select letter.id, state, error_class, error_message
from unnest(%(ids)s::uuid[]) with ordinality as asked (id, position) join event_dead_letters letter using (id)
order by asked.position;
