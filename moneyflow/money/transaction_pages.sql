-- name: merge
-- A page of some categories: the first transactions of each, merged.
select of_one.*
from unnest(%(merged)s::uuid[]) as wanted (wanted_id) cross join lateral (
    select <<columns>> from transactions
    where category_id = wanted_id and <<is_owners>> and deleted_at is null and <<between>>
    order by date desc, id desc limit %(limit)s
) as of_one
order by date desc, id desc limit %(limit)s;

-- name: walk
-- Those that fit of the first `most` transactions in the list's order; the last of these also where it does not fit.
select * from (
    select <<columns>>, <<fits>> as fits, row_number() over (order by date desc, id desc) as place
    from (
        (select <<columns>> from transactions
        where kind = 'expense' and coalesce(%(kind)s, 'expense') = 'expense' and %(category_id)s::uuid is null
            and user_id = %(owner_id)s and deleted_at is null and <<between>>
        order by date desc, id desc)
        union all
        (select <<columns>> from transactions
        where kind = 'income' and coalesce(%(kind)s, 'income') = 'income' and %(category_id)s::uuid is null
            and user_id = %(owner_id)s and deleted_at is null and <<between>>
        order by date desc, id desc)
        union all
        (select <<columns>> from transactions
        where category_id = %(category_id)s and <<is_owners>> and deleted_at is null and <<between>>
        order by date desc, id desc)
    ) as listed
    order by date desc, id desc limit %(most)s
) as walked
where fits or place = %(most)s
order by date desc, id desc limit %(limit)s;

-- name: gather
-- The page of the transactions that fit, which are counted, up to `most`. Each index that is to be used has the owner's
-- id in a form of its own.
select <<columns>>, gathered
from (
    select id, gathered
    from (
        select id, date, count(*) over () as gathered
        from (
            select id, date from transactions
            where <<is_owners>> and deleted_at is null and <<between>> and <<fits>>
                and (%(kind)s::text is null or kind = %(kind)s)
                and (%(category_id)s::uuid is null or category_id = %(category_id)s)
                and (not %(by_text)s or user_id::text = %(owner_id)s::text)
                and (not %(by_amount)s or uuid_send(user_id) = uuid_send(%(owner_id)s))
            limit %(most)s
        ) as fitting
    ) as counted
    order by date desc, id desc limit %(limit)s
) as page join transactions using (id)
order by date desc, id desc;
