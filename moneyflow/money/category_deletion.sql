-- name: lock_children
-- Some subcategories of a category, locked until the transaction ends.
select id, user_id, kind, name, parent_id, color, version, created_at, updated_at
from categories where user_id = %(owner_id)s and parent_id = %(parent_id)s order by id limit %(limit)s for update;

-- name: target
-- The category that transactions move to: of the same owner and kind, and none that is deleted with the other one.
select id from categories
where user_id = %(owner_id)s and id = %(id)s and kind = %(kind)s and id <> %(category_id)s
  and parent_id is distinct from %(category_id)s;

-- name: lock_transactions
-- Some transactions of categories, deleted ones too, locked in the order of their ids until the transaction ends.
select id, user_id, kind, amount, currency, date, category_id, note, tags, payment_id, import_id, version, created_at,
    updated_at, deleted_at is not null as is_deleted
from transactions
where id in (select id from transactions where user_id = %(owner_id)s and category_id = any(%(categories)s)
             limit %(limit)s)
  and category_id = any(%(categories)s)
order by id for update;

-- name: move
-- Move transactions that are locked; of one that is deleted no version is counted, because it has no further event.
update transactions set category_id = %(category_id)s, updated_at = clock_timestamp(),
    version = version + (deleted_at is null)::integer
where user_id = %(owner_id)s and id = any(%(ids)s);

-- name: has_transactions
-- A row when transactions refer to the categories.
select from transactions where user_id = %(owner_id)s and category_id = any(%(categories)s) limit 1;

-- name: delete
-- Delete categories that are locked and that nothing refers to.
delete from categories where user_id = %(owner_id)s and id = any(%(ids)s);
