-- fragment: sums
-- The difference that facts make in the sums of days and months: their state in `written`, and that before, which the
-- table itself still shows to this statement. PERF: by its key; a join of two parts of a statement has no index.
, known as (
    select fact.* from written join analytics.transactions as fact using (generation, user_id, id)
), moved as (
    select generation, user_id, date, currency, category_id,
        case when kind = 'income' then amount else 0 end as income,
        case when kind = 'income' then 0 else amount end as expense, 1 as transactions
    from written where amount is not null
    union all
    select generation, user_id, date, currency, category_id,
        case when kind = 'income' then -amount else 0 end,
        case when kind = 'income' then 0 else -amount end, -1
    from known where amount is not null
), difference as materialized (
    select generation, user_id, date, currency, category_id, sum(income) as income, sum(expense) as expense,
        sum(transactions) as transactions
    from moved group by generation, user_id, date, currency, category_id
    having sum(income) <> 0 or sum(expense) <> 0 or sum(transactions) <> 0
), days as (
    insert into analytics.daily_sums as sums (generation, user_id, day, currency, category_id, income, expense,
                                              transactions)
    select * from difference order by generation, user_id, date, currency, category_id
    on conflict (generation, user_id, day, currency, category_id) do update
        set income = sums.income + excluded.income, expense = sums.expense + excluded.expense,
            transactions = sums.transactions + excluded.transactions
), months as (
    insert into analytics.monthly_sums as sums (generation, user_id, month, currency, category_id, income, expense,
                                                transactions)
    select generation, user_id, (date_trunc('month', date::timestamp))::date, currency, category_id,
        sum(income), sum(expense), sum(transactions)
    from difference group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
    on conflict (generation, user_id, month, currency, category_id) do update
        set income = sums.income + excluded.income, expense = sums.expense + excluded.expense,
            transactions = sums.transactions + excluded.transactions
)

-- fragment: written
-- Facts whose sequence is above the known one.
written as (
    insert into analytics.transactions as fact (generation, user_id, id, sequence, kind, amount, currency, date,
                                                category_id)
    select generation, user_id, id, sequence, kind, amount, currency, date, category_id from incoming
    order by generation, user_id, id
    on conflict (generation, user_id, id) do update
        set sequence = excluded.sequence, kind = excluded.kind, amount = excluded.amount,
            currency = excluded.currency, date = excluded.date, category_id = excluded.category_id
        where fact.sequence < excluded.sequence
    returning generation, user_id, id, kind, amount, currency, date, category_id
)

-- fragment: of_owner
-- The sums that are read of the owner, in a currency and in categories.
generation = (select current from analytics.generations where part = 'money') and user_id = %(owner_id)s
    and transactions <> 0 and (%(currency)s::text is null or currency = %(currency)s)
    and (%(categories)s::uuid[] is null or category_id = any(%(categories)s::uuid[]))

-- fragment: of_range
-- The sums of days and months that the range consists of, and in `before` whether they are before it. PERF: each part is
-- one piece of an index.
select month < %(since)s as before, month as day, currency, category_id, income, expense from analytics.monthly_sums
where <<of_owner>> and month < %(last_month)s and not (month >= %(opening)s and month < %(first_month)s)
union all
select day < %(since)s, day, currency, category_id, income, expense from analytics.daily_sums
where <<of_owner>> and day >= %(opening)s and day < %(first_month)s
union all
select day < %(since)s, day, currency, category_id, income, expense from analytics.daily_sums
where <<of_owner>> and day >= %(last_month)s and day <= %(until)s
