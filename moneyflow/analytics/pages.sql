-- name: cashflow
-- The money of each period of a range, and without a period that before it. PERF: the period is found for each day or
-- month, and not for each of its categories.
select case when not before then (date_trunc(%(interval)s, day::timestamp))::date end as period, currency,
    sum(income) as income, sum(expense) as expense
from (
    select before, day, currency, sum(income) as income, sum(expense) as expense
    from (<<of_range>>) as moved group by before, day, currency
) as by_day
group by 1, 2 order by 1 nulls first, 2 limit %(limit)s;

-- name: summary
-- The money of each currency and category in a range.
select currency, category_id, sum(income) as income, sum(expense) as expense
from (<<of_range>>) as moved where not before
group by 1, 2 order by 1, 2;
