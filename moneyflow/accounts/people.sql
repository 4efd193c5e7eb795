-- name: find_by_email
-- Whose address it is.
select id from users where lower(email) = lower(%(email)s);
