-- name: emit
-- Insert an event for the relay.
insert into outbox_events (id, topic, key, value)
values (%(event_id)s, %(event_topic)s, %(event_key)s, %(event_value)s);

-- name: emit_many
-- Insert events for the relay, in the order of the arrays. PERF: the values in binary: as text each byte takes two, and
-- the statement more than twice as long.
insert into outbox_events (id, topic, key, value)
select id, topic, key, value
from unnest(%(ids)s::uuid[], %(topics)s::text[], %(keys)s::text[], %(values)b::bytea[])
    with ordinality as event (id, topic, key, value, position)
order by position;

-- name: next_sequence
-- Return the next sequence of an aggregate that has no row of its own; it is locked until the transaction ends.
insert into event_sequences (key, sequence) values (%(key)s, 1)
on conflict (key) do update set sequence = event_sequences.sequence + 1
returning sequence;
