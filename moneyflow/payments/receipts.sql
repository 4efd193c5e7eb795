-- name: receipt
-- What a receipt says, and to whom it is sent.
select user_id, amount, currency from payments where id = %(id)s;
