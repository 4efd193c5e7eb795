-- name: owner
-- The user of a payment; the account cannot be deleted until the transaction ends.
select id from users where id = (select user_id from payments where id = %(id)s) for key share;

-- name: category
-- The category of a payment; it cannot be deleted until the transaction ends.
select id from categories where id = (select category_id from payments where id = %(id)s) for key share;

-- name: lock
-- A payment; the row is locked until the transaction ends.
select id, user_id, state, amount, currency, description, category_id, decline_code, charge_id, refund_key,
    (created_at at time zone 'utc')::date as created_on, (clock_timestamp() at time zone 'utc')::date as today
from payments where id = %(id)s for update;

-- name: succeed
-- The payment was charged.
update payments set state = 'succeeded', charge_id = %(charge_id)s, decline_code = null, source = null,
    updated_at = clock_timestamp()
where id = %(id)s;

-- name: decline
-- The payment was declined.
update payments set state = 'declined', decline_code = %(code)s, source = null, updated_at = clock_timestamp()
where id = %(id)s;

-- name: refund
-- The payment was refunded.
update payments set state = 'refunded', refund_transaction_id = %(transaction_id)s, updated_at = clock_timestamp()
where id = %(id)s;
