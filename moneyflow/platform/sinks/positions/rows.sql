-- name: sinks
-- The schemas with a table of positions that this role may read: each is named as its sink.
select schema.nspname as sink
from pg_class relation join pg_namespace schema on schema.oid = relation.relnamespace
where relation.relname = 'positions' and relation.relkind = 'r' and has_schema_privilege(schema.oid, 'usage')
    and has_table_privilege(relation.oid, 'select')
order by sink;

-- name: positions
-- Every position of a sink.
select topic, partition, next_offset, epoch, gap from /* positions */ order by topic, partition;

-- name: position
-- One position of a sink.
select topic, partition, next_offset, epoch, gap from /* positions */
where topic = %(topic)s and partition = %(partition)s;

-- name: skip
-- Move forward, or out of a gap: a position that is stopped, or after all that Kafka has. In a new epoch, so that a
-- consumer that holds the partition begins at the new position.
update /* positions */ set next_offset = %(next_offset)s, epoch = epoch + 1, gap = null
where topic = %(topic)s and partition = %(partition)s
    and (gap is not null or next_offset is null or next_offset < %(next_offset)s or next_offset > %(newest)s);

-- name: rewind
-- Move back, in a new epoch.
update /* positions */ set next_offset = %(next_offset)s, epoch = epoch + 1
where topic = %(topic)s and partition = %(partition)s and gap is null and next_offset > %(next_offset)s;

-- name: dead_letters_from
-- The number of dead letters of a partition from an offset on, by state.
select state, count(*) as records from event_dead_letters
where sink = %(sink)s and topic = %(topic)s and partition = %(partition)s and kafka_offset >= %(offset)s
group by state order by state;
