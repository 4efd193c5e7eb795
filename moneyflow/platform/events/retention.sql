-- name: event_dead_letters
-- Delete dead letters that were reprocessed or discarded long enough ago; open ones wait for an operator.
delete from event_dead_letters where id in (
    select id from event_dead_letters where resolved_at < clock_timestamp() - %(kept)s
    limit %(limit)s for update skip locked);
