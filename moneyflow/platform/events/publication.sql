-- name: unpublished
-- Events in the order of their keys. Rows of one aggregate are inserted under its lock, so the lower number was
-- committed first. A row that is committed late is read later, because no row is ever skipped. The first row is read
-- however large it is.
select sequence, id, topic, key, value
from (
    select *, sum(octet_length(value)) over (order by sequence) - octet_length(value) as bytes_before
    from (
        select sequence, id, topic, key, value from outbox_events where topic <> all(%(refused)s::text[])
        order by sequence limit %(limit)s
    ) next_rows
) measured
where bytes_before < %(most_bytes)s order by sequence;

-- name: delete_events
-- Delete the events that Kafka confirmed.
delete from outbox_events where sequence = any(%(sequences)s::bigint[]);

-- name: age
-- The number of events that wait for the relay, and the age of the oldest one in seconds.
select count(*) as rows,
    coalesce(extract(epoch from clock_timestamp()) - extract(epoch from min(created_at)), 0)::float as seconds
from outbox_events;
