-- name: request
-- Note a request under its key; the first one decides what the key stands for.
insert into sandbox.charges as charge (key, payment_id, amount, currency, body_hash, behaviour)
values (%(key)s, %(payment_id)s, %(amount)s, %(currency)s, %(body_hash)s, %(behaviour)s)
on conflict (key) do update set requests = charge.requests + 1
returning body_hash, requests;

-- name: settle
-- Charge or decline, once: a key that is settled stays as it is.
update sandbox.charges set
    charge_id = case when decline_code is null then coalesce(charge_id, %(charge_id)s) end,
    decline_code = case when charge_id is null then coalesce(decline_code, %(decline_code)s) end
where key = %(key)s
returning charge_id, decline_code;

-- name: find
-- The charge of a payment.
select charge_id from sandbox.charges where payment_id = %(payment_id)s and charge_id is not null;

-- name: request_refund
-- Note a request to refund a charge; the first one decides its key.
insert into sandbox.refunds as refund (charge_id, key)
select charge_id, %(key)s from sandbox.charges where charge_id = %(charge_id)s
on conflict (charge_id) do update set requests = refund.requests + 1
returning requests, (select behaviour from sandbox.charges where charge_id = %(charge_id)s) as behaviour;

-- name: refund
-- Refund a charge, once.
update sandbox.refunds set refunded_at = coalesce(refunded_at, clock_timestamp()) where charge_id = %(charge_id)s;
