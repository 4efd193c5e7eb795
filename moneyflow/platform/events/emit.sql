-- name: emit
-- Insert an event for the relay.
insert into outbox_events (id, topic, key, value) values (%(id)s, %(topic)s, %(key)s, %(value)s);

-- name: next_sequence
-- Return the next sequence of an aggregate that has no row of its own; it is locked until the transaction ends.
insert into event_sequences (key, sequence) values (%(key)s, 1)
on conflict (key) do update set sequence = event_sequences.sequence + 1
returning sequence;
