-- name: find_by_email
-- Whose address it is.
select id from user_id_of(%(email)s) id where id is not null;
