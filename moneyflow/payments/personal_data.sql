-- name: payments
-- The person's payments.
select id, amount, currency, description, category_id, state, decline_code, provider, charge_id,
    refund_transaction_id, job_id, attempted_at, created_at, updated_at
from payments where user_id = %(owner_id)s order by id;
