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
