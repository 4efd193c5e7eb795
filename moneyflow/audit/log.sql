-- name: lock_chain
-- Lock the head of a chain until the transaction ends; insert it where it is missing.
insert into audit.chains as chain (topic, partition, height, head_hash)
values (%(topic)s, %(partition)s, 0, %(genesis)s)
on conflict (topic, partition) do update set height = chain.height
returning height, head_hash;

-- name: known
-- The ids that the log has already, in any chain.
select id from audit.events where id = any(%(ids)s);

-- name: insert
-- Add one event to the end of its chain.
insert into audit.events (topic, partition, position, kafka_offset, id, type, subject, time, actor_id, correlation_id,
                          key, value, previous_hash, hash)
values (%(topic)s, %(partition)s, %(position)s, %(kafka_offset)s, %(id)s, %(type)s, %(subject)s, %(time)s,
        %(actor_id)s, %(correlation_id)s, %(key)s, %(value)s, %(previous_hash)s, %(hash)s);

-- name: move_head
-- Set the new head of a chain.
update audit.chains set height = %(height)s, head_hash = %(head_hash)s
where topic = %(topic)s and partition = %(partition)s;

-- name: chains
-- Every chain, with those that have rows and no head, or neither although the sink has read records.
select topic, partition, coalesce(height, 0) as height, coalesce(head_hash, %(genesis)s) as head_hash, next_offset
from audit.chains
full join (select distinct topic, partition from audit.events) used using (topic, partition)
full join (select topic, partition, next_offset from audit.positions where next_offset > 0) read
    using (topic, partition)
order by topic, partition;

-- name: page
-- The next rows of a chain.
select * from audit.events
where topic = %(topic)s and partition = %(partition)s and position > %(after)s order by position limit %(limit)s;

-- name: checkpoints
-- The checkpoints of a chain.
select * from audit.checkpoints where topic = %(topic)s and partition = %(partition)s order by position;
