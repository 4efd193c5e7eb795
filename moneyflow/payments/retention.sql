-- name: webhooks
-- Webhooks of long ago.
delete from payment_webhooks where event_id = any(array(
    select event_id from payment_webhooks where received_at < clock_timestamp() - %(kept)s limit %(limit)s
    for update skip locked));
