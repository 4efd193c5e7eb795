-- name: time_of
-- The time of an event.
select time from audit.events where id = %(id)s;

-- name: by_id
-- The newest events of an actor, a subject or a request.
select id, type, subject, time, actor_id, correlation_id, topic, partition, position, kafka_offset, recorded_at, value
from audit.events
where <<filtered>> and (%(before_time)s::timestamptz is null or (time, id) < (%(before_time)s, %(before_id)s))
order by time desc, id desc limit %(limit)s;

-- name: by_type
-- The newest events of each type, and of those the newest.
with recursive types as (
    select min(type) as type from audit.events
    union all
    select (select min(type) from audit.events where type > types.type) from types where types.type is not null)
select event.* from types cross join lateral (
    select id, type, subject, time, actor_id, correlation_id, topic, partition, position, kafka_offset, recorded_at,
        value
    from audit.events
    where type = types.type and <<filtered>>
      and (%(before_time)s::timestamptz is null or (time, id) < (%(before_time)s, %(before_id)s))
    order by time desc, id desc limit %(limit)s) event
order by event.time desc, event.id desc limit %(limit)s;
