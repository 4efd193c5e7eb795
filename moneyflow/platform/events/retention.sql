-- name: repeats
-- Delete counts that no process of their name has looked at for a day.
delete from system_event_repeats where (process, type, fingerprint) in (
    select process, type, fingerprint from system_event_repeats
    where reported_at < clock_timestamp() - interval '1 day' limit %(limit)s for update skip locked);

-- name: event_dead_letters
-- Delete dead letters that were reprocessed or discarded long enough ago; open ones wait for an operator.
delete from event_dead_letters where id in (
    select id from event_dead_letters where resolved_at < clock_timestamp() - %(kept)s
    limit %(limit)s for update skip locked);
