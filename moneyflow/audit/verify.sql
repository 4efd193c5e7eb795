-- name: chains
-- Every chain, with those that have rows and no head, or neither although the sink has read records.
with recursive used as (
    (select topic, partition from audit.events order by topic, partition limit 1)
    union all
    select following.topic, following.partition from used cross join lateral (
        select topic, partition from audit.events where (topic, partition) > (used.topic, used.partition)
        order by topic, partition limit 1) following)
select topic, partition, coalesce(height, 0) as height, coalesce(head_hash, %(genesis)s) as head_hash, next_offset
from audit.chains
full join used using (topic, partition)
full join (select topic, partition, next_offset from audit.positions where next_offset > 0) read
    using (topic, partition)
order by topic, partition;

-- name: rows
-- The rows of a chain after a position, in the order of `Row`.
select position, kafka_offset, key, value, previous_hash, hash, id, type, subject, timestamptz_send(time), actor_id,
    correlation_id
from audit.events where topic = %(topic)s and partition = %(partition)s and position > %(after)s
order by position, recorded_at;

-- name: seals
-- The seals of a chain.
select * from audit.seals where topic = %(topic)s and partition = %(partition)s order by position;
