-- name: keep
-- Keep a record that the sink could not write, or that waits behind one of its key. One that comes again, such as after
-- a rewind, is dead again with its new error, unless an operator discarded it or has made it due.
insert into public.event_dead_letters as mine
    (id, sink, topic, partition, kafka_offset, key, value, event_id, event_type, subject, correlation_id,
     state, error_class, error_message, error_group, failed_at, attempts)
values
    (%(id)s, %(sink)s, %(topic)s, %(partition)s, %(kafka_offset)s, %(key)s, %(value)s, %(event_id)s, %(event_type)s,
     %(subject)s, %(correlation_id)s, %(state)s, %(error_class)s, %(error_message)s, %(error_group)s, clock_timestamp(),
     %(attempts)s)
on conflict on constraint event_dead_letters_record_key do update
set state = excluded.state, error_class = excluded.error_class, error_message = excluded.error_message,
    error_group = excluded.error_group, failed_at = excluded.failed_at, attempts = mine.attempts + excluded.attempts,
    resolved_at = null
where (mine.state = 'reprocessed' or (mine.state = 'dead' and excluded.state = 'dead'))
  and (mine.key, mine.value) is not distinct from (excluded.key, excluded.value);

-- name: is_kept
-- Whether the dead letter at this place is of this record, and not of one that Kafka had there before it was wiped.
select (key, value) is not distinct from (%(key)s::bytea, %(value)s::bytea) as is_kept from public.event_dead_letters
where sink = %(sink)s and topic = %(topic)s and partition = %(partition)s and kafka_offset = %(kafka_offset)s;

-- name: held_keys
-- The keys of a partition that an open dead letter holds, of those given, each with the first offset that is held.
select key, min(kafka_offset) as from_offset from public.event_dead_letters
where sink = %(sink)s and topic = %(topic)s and partition = %(partition)s and state in ('dead', 'waiting', 'due')
  and key = any(%(keys)s::bytea[])
group by key;

-- name: due
-- The dead letters of a sink that are to be written now, in the order of their offsets, in the given partitions.
select letter.id, letter.topic, letter.partition, letter.kafka_offset, letter.key, letter.value, letter.due_by
from public.event_dead_letters letter
join unnest(%(topics)s::text[], %(partitions)s::integer[]) as mine (topic, partition) using (topic, partition)
where letter.sink = %(sink)s
  and (letter.state = 'due' and letter.due_at <= clock_timestamp() or letter.state = 'waiting')
order by letter.topic, letter.partition, letter.kafka_offset
limit %(limit)s;

-- name: due_in_strict_order
-- The same where the order is strict: of each key only the first open one, so that one that waits is due as soon as no
-- earlier one of its key is open.
with open as (
    select letter.id, letter.key, letter.state, letter.due_at,
        row_number() over (partition by letter.topic, letter.partition, letter.key order by letter.kafka_offset) as place
    from public.event_dead_letters letter
    join unnest(%(topics)s::text[], %(partitions)s::integer[]) as mine (topic, partition) using (topic, partition)
    where letter.sink = %(sink)s and letter.state in ('dead', 'waiting', 'due')
)
select letter.id, letter.topic, letter.partition, letter.kafka_offset, letter.key, letter.value, letter.due_by
from open join public.event_dead_letters letter using (id)
where (open.place = 1 or open.key is null)
  and (open.state = 'due' and open.due_at <= clock_timestamp() or open.state = 'waiting')
order by letter.topic, letter.partition, letter.kafka_offset
limit %(limit)s;

-- name: lock
-- Lock a dead letter that is still to be written.
select id from public.event_dead_letters
where id = %(id)s and (state = 'due' and due_at <= clock_timestamp() or state = 'waiting')
for update;

-- name: reprocessed
-- The sink has written it.
update public.event_dead_letters
set state = 'reprocessed', resolved_at = clock_timestamp()
where id = %(id)s;

-- name: failed_again
-- The sink could not write it: it is dead, until an operator acts again.
update public.event_dead_letters
set state = 'dead', error_class = %(error_class)s, error_message = %(error_message)s,
    error_group = %(error_group)s, failed_at = clock_timestamp(), attempts = attempts + 1, due_at = null
where id = %(id)s;

-- name: reschedule
-- It is due later.
update public.event_dead_letters
set state = 'due', due_at = clock_timestamp() + make_interval(secs => %(seconds)s) where id = %(id)s;

-- name: make_due
-- Make dead letters due, each a gap after the one before it, if the sink has not failed on them again meanwhile.
update event_dead_letters letter
set state = 'due', due_at = %(due_from)s + (asked.place - 1) * make_interval(secs => %(gap_seconds)s),
    due_by = %(operation_id)s
from unnest(%(ids)s::uuid[], %(attempts)s::integer[]) with ordinality as asked (id, attempts, place)
where letter.id = asked.id and letter.attempts = asked.attempts and letter.state = 'dead'
returning letter.id;

-- name: discard
-- Discard dead letters: nothing waits behind them any more.
update event_dead_letters letter set state = 'discarded', resolved_at = clock_timestamp()
from unnest(%(ids)s::uuid[], %(attempts)s::integer[]) as asked (id, attempts)
where letter.id = asked.id and letter.attempts = asked.attempts and letter.state = 'dead'
returning letter.id;

-- name: restore
-- Make discarded dead letters dead again.
update event_dead_letters letter set state = 'dead', resolved_at = null
from unnest(%(ids)s::uuid[], %(attempts)s::integer[]) as asked (id, attempts)
where letter.id = asked.id and letter.attempts = asked.attempts and letter.state = 'discarded'
returning letter.id;
