-- name: find
-- The password of a user.
select password_hash from users where id = %(id)s;

-- name: find_by_email
-- Whose address it is.
select id from users where lower(email) = lower(%(email)s) and activated_at is not null;

-- name: set
-- Set the password, unless it is not the one before any more.
update users set password_hash = %(password_hash)s, updated_at = clock_timestamp(), version = version + 1
where id = %(id)s and (%(before)s::text is null or password_hash = %(before)s)
returning version;
