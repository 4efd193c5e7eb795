-- name: create
-- Add a transaction with its event and the answer to the request, unless the request is not the first under its key.
with <<first_request>>, changed as (
    insert into transactions (id, user_id, kind, amount, currency, date, category_id, note, tags, payment_id, import_id,
                              created_at, updated_at)
    select %(id)s, %(user_id)s, %(kind)s, %(amount)s, %(currency)s, %(date)s, %(category_id)s, %(note)s, %(tags)s,
           %(payment_id)s, %(import_id)s, %(created_at)s, %(updated_at)s
    from first_request
    returning id
), emitted as (<<emit_event>>)
<<outcome>>;

-- name: lock_category
-- The category of a transaction, which stays until the transaction ends; no row when there is none of the user and kind.
select id from categories where user_id = %(user_id)s and id = %(category_id)s and kind = %(kind)s for key share;

-- name: find
-- A transaction of its owner.
select id, user_id, kind, amount, currency, date, category_id, note, tags, payment_id, import_id, version, created_at,
    updated_at
from transactions where id = %(id)s and user_id = %(owner_id)s and deleted_at is null;

-- name: change
-- Change a transaction with its event, where it has still the version before.
with changed as (
    update transactions set kind = %(kind)s, amount = %(amount)s, currency = %(currency)s, date = %(date)s,
        category_id = %(category_id)s, note = %(note)s, tags = %(tags)s, version = %(version)s,
        updated_at = %(updated_at)s
    where id = %(id)s and user_id = %(user_id)s and version = %(version)s - 1 and deleted_at is null
    returning id
), emitted as (<<emit_event>>)
select id from changed;

-- name: delete
-- Mark a transaction as deleted with its event, where it has still the version before.
with changed as (
    update transactions set deleted_at = clock_timestamp(), version = %(version)s, updated_at = %(updated_at)s
    where id = %(id)s and user_id = %(user_id)s and version = %(version)s - 1 and deleted_at is null
    returning id
), emitted as (<<emit_event>>)
select id from changed;
