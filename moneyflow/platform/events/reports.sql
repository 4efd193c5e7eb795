-- name: due_system_events
-- Count reports, and return those that are due with their sequences: the first of a kind, and the sum of a period.
select type, data, count, since, sequence
from public.due_system_events(%(process)s, %(reports)s::jsonb, %(period_seconds)s, %(most)s);

-- name: emit_system_event
-- Insert an event about the platform for the relay.
select public.emit_system_event(%(event_id)s, %(event_key)s, %(event_value)s);
