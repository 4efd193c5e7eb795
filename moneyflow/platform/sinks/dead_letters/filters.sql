-- name: group_id
-- The short id of a dead letter's group.
left(md5(concat(sink, chr(31), event_type, chr(31), error_class, chr(31), error_group)), 10);

-- name: matching
-- The condition of a filter: a part that is not given holds for every dead letter.
(%(sinks)s::text[] is null or sink = any(%(sinks)s))
    and (%(types)s::text[] is null or event_type = any(%(types)s))
    and (%(topics)s::text[] is null or topic = any(%(topics)s))
    and (%(error_classes)s::text[] is null or error_class = any(%(error_classes)s))
    and (%(groups)s::text[] is null or /* group_id */ = any(%(groups)s))
    and (%(subjects)s::text[] is null or subject = any(%(subjects)s))
    and (%(correlation_ids)s::text[] is null or correlation_id = any(%(correlation_ids)s))
    and (%(since)s::timestamptz is null or failed_at >= %(since)s)
    and (%(until)s::timestamptz is null or failed_at < %(until)s)
    and (%(text)s::text is null or strpos(lower(error_message), lower(%(text)s)) > 0);

-- name: sinks
-- The sinks that have dead letters in a state.
select distinct sink as name from event_dead_letters where state = %(state)s;

-- name: types
-- The types of the dead letters in a state, as far as they are known.
select distinct event_type as name from event_dead_letters where state = %(state)s and event_type is not null;

-- name: groups
-- Those of some groups of which there is a dead letter in a state.
select distinct /* group_id */ as group from event_dead_letters
where state = %(state)s and /* group_id */ = any(%(groups)s);
