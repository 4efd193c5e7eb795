-- name: count
-- How many transactions a period has.
select (select count(*) from transactions where user_id = %(owner_id)s and kind = 'expense' and deleted_at is null
        and date between %(first_day)s and %(last_day)s)
    + (select count(*) from transactions where user_id = %(owner_id)s and kind = 'income' and deleted_at is null
        and date between %(first_day)s and %(last_day)s) as entries;

-- name: categories
-- The categories of the owner with their parents.
select category.id, category.name, parent.name as parent
from categories category left join categories parent on parent.id = category.parent_id
where category.user_id = %(owner_id)s;

-- name: declare
-- A cursor over the transactions of a period in the order of the indexes, so that nothing is sorted.
declare entries no scroll cursor for
select id, date, kind, amount, currency, category_id, note, tags from (
    select id, date, kind, amount, currency, category_id, note, tags from transactions
    where user_id = %(owner_id)s and kind = 'expense' and deleted_at is null
      and date between %(first_day)s and %(last_day)s
    union all
    select id, date, kind, amount, currency, category_id, note, tags from transactions
    where user_id = %(owner_id)s and kind = 'income' and deleted_at is null
      and date between %(first_day)s and %(last_day)s
) entry order by date, id;

-- name: fetch
-- The next transactions of the cursor.
fetch 2000 from entries;

-- name: close
-- The end of the cursor.
close entries;
