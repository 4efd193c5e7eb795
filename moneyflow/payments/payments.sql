-- name: expense_category
-- A category of the owner that an expense may have.
select id from categories where id = %(id)s and user_id = %(owner_id)s and kind = 'expense';

-- name: insert
-- Insert a pending payment.
insert into payments (id, user_id, amount, currency, description, category_id, source, job_id)
values (%(id)s, %(owner_id)s, %(amount)s, %(currency)s, %(description)s, %(category_id)s, %(source)s, %(job_id)s);

-- name: payment
-- A payment of the owner, with the transaction that it became, unless that was deleted.
select id, state, amount, currency, description, category_id, decline_code, job_id, created_at, updated_at,
    (select id from transactions where payment_id = payments.id and deleted_at is null) as transaction_id,
    (select id from transactions where id = refund_transaction_id and deleted_at is null) as refund_transaction_id
from payments where id = %(id)s and user_id = %(owner_id)s;

-- name: lock_own
-- The state of a payment of the owner; the row is locked until the transaction ends.
select id, state from payments where id = %(id)s and user_id = %(owner_id)s for update;

-- name: request_refund
-- The first job that refunds a payment names the key of the refund.
update payments set refund_key = coalesce(refund_key, %(job_id)s), updated_at = clock_timestamp() where id = %(id)s;
