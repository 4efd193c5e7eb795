-- fragment: columns
-- What a transaction consists of.
id, user_id, kind, amount, currency, date, category_id, note, tags, payment_id, import_id, version, created_at,
    updated_at

-- fragment: between
-- After the place where the page begins, and up to the first day.
date >= %(since)s and (date, id) < (%(before_date)s, %(before_id)s)

-- fragment: is_of_group
-- Of the kind, and of the one category; indexes have these in the list's order.
(%(kind)s::text is null or kind = %(kind)s)
    and (%(category_id)s::uuid is null or category_id = %(category_id)s)

-- fragment: fits
-- Of one of the categories, and what is searched for. The index of texts has to read all of them for a short pattern.
((%(category_ids)s::uuid[] is null or category_id = any(%(category_ids)s::uuid[]))
    and (%(least)s::numeric is null or amount >= %(least)s)
    and (%(greatest)s::numeric is null or amount <= %(greatest)s)
    and (%(tag)s::text is null or tags @> array[%(tag)s::text])
    and (%(pattern)s::text is null or note ilike %(pattern)s)
    and (%(short_pattern)s::text is null or (note || '') ilike %(short_pattern)s))
