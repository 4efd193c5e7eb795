-- name: refuse
-- The provider refuses the refund: another one is a new request with a new key.
update payments set refund_key = null, updated_at = clock_timestamp() where id = %(id)s;

-- name: refundable
-- What the provider is asked to refund.
select charge_id, refund_key, coalesce(provider, %(provider)s) as provider from payments where id = %(id)s and state = 'succeeded' and refund_key is not null;
