-- name: categories
-- The person's categories.
select id, parent_id, kind, name, color, version, created_at, updated_at from categories
where user_id = %(owner_id)s order by id;

-- name: transactions
-- The person's transactions, those too that are deleted and not purged yet.
select id, kind, amount, currency, date, category_id, note, tags, payment_id, import_id, version, created_at,
    updated_at, deleted_at
from transactions where user_id = %(owner_id)s;
