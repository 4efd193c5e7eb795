-- fragment: of_owner
-- The sums that are read of the owner, in a currency and in categories.
generation = (select current from analytics.generations where part = 'money') and user_id = %(owner_id)s
    and transactions <> 0 and (%(currency)s::text is null or currency = %(currency)s)
    and (%(categories)s::uuid[] is null or category_id = any(%(categories)s::uuid[]))

-- fragment: moved
-- The sums of days and months that the range consists of, and in `before` whether they are before it.
select month < %(since)s as before, month as day, currency, category_id, income, expense from analytics.monthly_sums
where <<of_owner>> and (month < %(opening)s or (month >= %(first_month)s and month < %(last_month)s))
union all
select day < %(since)s, day, currency, category_id, income, expense from analytics.daily_sums
where <<of_owner>> and day >= %(opening)s and day <= %(until)s
    and not (day >= %(first_month)s and day < %(last_month)s)
