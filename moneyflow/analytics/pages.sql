-- name: cashflow
-- The money of each period of a range, and without a period that before it.
select case when not before then (date_trunc(%(interval)s, day::timestamp))::date end as period, currency,
    sum(income) as income, sum(expense) as expense
from (<<of_range>>) as moved
group by 1, 2 order by 1 nulls first, 2 limit %(limit)s;

-- name: summary
-- The money of each currency and category in a range.
select currency, category_id, sum(income) as income, sum(expense) as expense
from (<<of_range>>) as moved where not before
group by 1, 2 order by 1, 2;
