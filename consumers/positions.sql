-- name: claim
-- Begin a new epoch.
insert into positions as mine (topic, partition, epoch) values (%(topic)s, %(partition)s, 1)
on conflict (topic, partition) do update set epoch = mine.epoch + 1
returning epoch, next_offset, gap;

-- name: advance
-- Move the position, if the epoch is still ours.
update positions set next_offset = %(next_offset)s
where topic = %(topic)s and partition = %(partition)s and epoch = %(epoch)s;

-- name: stop
-- Note why the partition is stopped.
update positions set gap = %(gap)s where topic = %(topic)s and partition = %(partition)s;

-- name: hold
-- Lock the position, if the epoch is still ours.
select epoch from positions
where topic = %(topic)s and partition = %(partition)s and epoch = %(epoch)s
for update;

-- name: superseded
-- Those of some positions that have another epoch by now.
select mine.topic, mine.partition
from positions mine
join unnest(%(topics)s::text[], %(partitions)s::integer[], %(epochs)s::bigint[]) as asked (topic, partition, epoch)
    using (topic, partition)
where mine.epoch <> asked.epoch;
