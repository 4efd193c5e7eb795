-- name: take
-- Note a webhook; the same one may come again.
insert into payment_webhooks (event_id) values (%(event_id)s) on conflict do nothing;
