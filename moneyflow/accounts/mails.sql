-- name: recipient
-- The recipient of a mail.
select id, name, email from users where id = %(user_id)s;
