-- name: recipient
-- The recipient of a mail.
select name, email from users where id = %(user_id)s;
