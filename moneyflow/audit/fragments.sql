-- fragment: filtered
-- The conditions of `search.Filter`.
(%(actor)s::text is null or actor_id = %(actor)s) and (%(subject)s::text is null or subject = %(subject)s)
    and (%(correlation_id)s::text is null or correlation_id = %(correlation_id)s)
    and (%(types)s::text[] is null or type = any(%(types)s))
    and (%(since)s::timestamptz is null or time >= %(since)s) and (%(until)s::timestamptz is null or time < %(until)s)
