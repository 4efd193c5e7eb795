-- fragment: columns
-- What a transaction consists of.
id, user_id, kind, amount, currency, date, category_id, note, tags, payment_id, import_id, version, created_at,
    updated_at

-- fragment: between
-- After the place where the page begins, and up to the first day.
date >= %(since)s and (date, id) < (%(before_date)s, %(before_id)s)

-- fragment: is_owners
-- The owner's, in a form that no index is used for: a plan by stale statistics would go through all of the owner's.
user_id is not distinct from %(owner_id)s

-- fragment: fits
-- Of one of the categories, and what is searched for. The index of texts has to read all of them for a short pattern.
((%(category_ids)s::uuid[] is null or category_id = any(%(category_ids)s::uuid[]))
    and (%(least)s::numeric is null or amount >= %(least)s)
    and (%(greatest)s::numeric is null or amount <= %(greatest)s)
    and (%(tag)s::text is null or tags @> array[%(tag)s::text])
    and (%(pattern)s::text is null or note ilike %(pattern)s)
    and (%(short_pattern)s::text is null or (note || '') ilike %(short_pattern)s))
