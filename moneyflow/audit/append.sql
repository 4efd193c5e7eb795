-- name: lock_chain
-- Lock the head of a chain until the transaction ends; insert it where it is missing.
insert into audit.chains as chain (topic, partition, height, head_hash)
values (%(topic)s, %(partition)s, 0, %(genesis)s)
on conflict (topic, partition) do update set height = chain.height
returning height, head_hash;

-- name: known
-- The ids that the log has already, in any chain, of the events that were recorded in a time.
select id from audit.events where id = any(string_to_array(%(ids)s, chr(10))) and recorded_at between %(since)s and %(until)s;

-- name: copy
-- Add events to the end of their chain. PERF: a fifth of the time of an insert for each.
copy audit.events (topic, partition, position, kafka_offset, id, type, subject, time, actor_id, correlation_id,
                   key, value, previous_hash, hash)
from stdin (format binary);

-- name: move_head
-- Set the new head of a chain.
update audit.chains set height = %(height)s, head_hash = %(head_hash)s
where topic = %(topic)s and partition = %(partition)s;
