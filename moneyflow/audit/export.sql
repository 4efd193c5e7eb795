-- name: rows
-- The rows that are chosen, in the order of `COLUMNS`, chain by chain.
select topic, partition, position, kafka_offset, id, type, subject,
    to_char(time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), actor_id, correlation_id, key, value,
    encode(previous_hash, 'hex'), encode(hash, 'hex'),
    to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
from audit.events
where <<filtered>>
order by topic, partition, position, recorded_at;
