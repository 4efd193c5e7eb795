-- name: lock_categories
-- The kinds of categories, which stay until the transaction ends.
select id, kind from categories where user_id = %(owner_id)s and id = any(%(ids)s) order by id for key share;

-- name: lock_transactions
-- Transactions of their owner, locked in the order of their ids until the transaction ends.
select id, user_id, kind, amount, currency, date, category_id, note, tags, payment_id, import_id, version, created_at,
    updated_at
from transactions where user_id = %(owner_id)s and id = any(%(ids)s) and deleted_at is null order by id for update;

-- name: create
-- Add transactions.
insert into transactions (id, user_id, kind, amount, currency, date, category_id, note, tags, payment_id, import_id,
                          created_at, updated_at)
select id, %(owner_id)s, kind, amount, currency, date, category_id, note, tags, payment_id, import_id, created_at,
    created_at
from json_to_recordset(%(transactions)s::json) as made (
    id uuid, kind text, amount numeric, currency text, date date, category_id uuid, note text, tags text[],
    payment_id uuid, import_id uuid, created_at timestamptz);

-- name: change_category
-- Put transactions that are locked into other categories.
update transactions set category_id = moved.category_id, version = version + 1, updated_at = clock_timestamp()
from unnest(%(ids)s::uuid[], %(categories)s::uuid[]) as moved (id, category_id)
where transactions.id = moved.id and user_id = %(owner_id)s;

-- name: delete
-- Mark transactions that are locked as deleted.
update transactions set deleted_at = clock_timestamp(), version = version + 1, updated_at = clock_timestamp()
where user_id = %(owner_id)s and id = any(%(ids)s);
