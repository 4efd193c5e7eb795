-- name: written
-- Note the time of the last event that was written of a partition.
insert into analytics.progress as progress (topic, partition, event_time)
values (%(topic)s, %(partition)s, %(event_time)s)
on conflict (topic, partition) do update set event_time = greatest(progress.event_time, excluded.event_time);

-- name: caught_up
-- Note of partitions that all that had been published some seconds ago is written.
insert into analytics.progress as progress (topic, partition, caught_up_at)
select topic, partition, clock_timestamp() - make_interval(secs => %(seconds_ago)s)
from unnest(%(topics)s::text[], %(partitions)s::integer[]) as given (topic, partition) order by topic, partition
on conflict (topic, partition) do update set caught_up_at = greatest(progress.caught_up_at, excluded.caught_up_at);

-- name: as_of
-- The moment up to which the events of a topic are written in all of its partitions: that of the last event, or of the
-- last look that found no other; and not after the oldest event that waits for the relay. PERF: the outbox by its key.
select least(min(greatest(event_time, caught_up_at)),
        (select created_at from outbox_events order by sequence limit 1)) as as_of,
    clock_timestamp() as now
from analytics.progress where topic = %(topic)s;
