-- name: add
-- Add the sign-ups that are not here yet: an event that comes again changes nothing.
insert into sign_ups (event_id, day)
select id, (time at time zone 'UTC')::date from unnest(%(ids)s::text[], %(times)s::timestamptz[]) as new (id, time)
on conflict (event_id) do nothing;
