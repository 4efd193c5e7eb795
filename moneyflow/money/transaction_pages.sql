-- name: categories
-- A category of the owner and those below it, each with its kind.
select id, kind from categories where user_id = %(owner_id)s and id = %(category_id)s
union all
select id, kind from categories where user_id = %(owner_id)s and parent_id = %(category_id)s;

-- name: merge
-- A page of some categories: the first transactions of each, merged.
select of_one.*
from unnest(%(merged)s::uuid[]) as wanted (wanted_id) cross join lateral (
    select <<columns>> from transactions
    where user_id = %(owner_id)s and category_id = wanted_id and deleted_at is null and <<between>>
    order by date desc, id desc limit %(limit)s
) as of_one
order by date desc, id desc limit %(limit)s;

-- name: walk
-- Those that fit of the first `most` transactions in the list's order; the last of these also where it does not fit.
select * from (
    select <<columns>>, <<fits>> as fits, row_number() over (order by date desc, id desc) as place
    from transactions
    where user_id = %(owner_id)s and deleted_at is null and <<between>> and <<is_of_group>>
    order by date desc, id desc limit %(most)s
) as walked
where fits or place = %(most)s
order by date desc, id desc limit %(limit)s;

-- name: gather
-- The page of the transactions that fit, which are counted, up to `most`.
select <<columns>>, gathered
from (
    select id, date, count(*) over () as gathered
    from (
        select id, date from transactions
        where deleted_at is null and <<between>> and <<is_of_group>> and <<fits>>
            and (not %(by_text)s or user_id::text = %(owner_id)s::text)
            and (not %(by_others)s or user_id = %(owner_id)s)
        limit %(most)s
    ) as fitting
    order by date desc, id desc limit %(limit)s
) as page join transactions using (id, date)
where user_id = %(owner_id)s
order by date desc, id desc;
