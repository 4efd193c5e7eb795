-- name: repeats
-- Delete counts that no process of their name has looked at for a day.
delete from system_event_repeats where (process, type, fingerprint) in (
    select process, type, fingerprint from system_event_repeats
    where reported_at < clock_timestamp() - interval '1 day' limit %(limit)s for update skip locked);
