-- name: groups
-- What is dead by sink, event type, error class and normalised message, the most numerous first; the sample is the
-- newest failure.
with grouped as (
    select sink, event_type, error_class, error_group, count(*) as dead_letters, max(attempts) as most_attempts,
        min(failed_at) as first_at, max(failed_at) as last_at, (array_agg(id order by failed_at desc))[1] as sample_id
    from event_dead_letters where state = 'dead' and /* matching */
    group by sink, event_type, error_class, error_group
)
select /* group_id */ as group, sink, event_type, error_class, error_group as message, dead_letters, most_attempts,
    first_at, last_at, sample_id,
    (select error_message from event_dead_letters letter where letter.id = sample_id) as sample_message
from grouped order by dead_letters desc, last_at desc;

-- name: page
-- Dead letters of a state, the newest failure first.
select id, sink, event_type, topic, partition, kafka_offset, state, attempts, error_class, error_message,
    /* group_id */ as group, event_id, subject, correlation_id, failed_at, due_at, resolved_at, count(*) over () as total
from event_dead_letters where state = %(state)s and /* matching */
order by failed_at desc, id limit %(limit)s;

-- name: dead_letter
-- A dead letter with its bytes.
select *, /* group_id */ as group from event_dead_letters where id = %(id)s;

-- name: waiting
-- The number of records of the same key that wait for a dead letter, in a sink whose order is strict.
select count(*) as records
from event_dead_letters letter
join event_dead_letters waiting using (sink, topic, partition, key)
where letter.id = %(id)s and letter.state in ('dead', 'due') and waiting.state = 'waiting'
    and waiting.kafka_offset > letter.kafka_offset;

-- name: operations
-- The operations that acted on a dead letter, in their order.
select operation.id, verb, asked_by, reason, result, detail, done_at
from operation_items item join operations operation on operation.id = item.operation_id
where item.source = 'dead_letters' and item.item_id = %(id)s::text and item.result is not null order by done_at;
