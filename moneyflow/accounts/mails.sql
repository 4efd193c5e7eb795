-- name: recipient
-- To whom a mail goes.
select name, email from users where id = %(user_id)s;
