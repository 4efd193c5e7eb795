-- name: activate
-- Activate an account that is not yet.
update users set activated_at = clock_timestamp(), updated_at = clock_timestamp(), version = version + 1
where id = %(id)s and activated_at is null
returning version, activated_at;

-- name: find_activation
-- When an account was activated.
select activated_at from users where id = %(id)s;

-- name: find_inactive
-- Whose address it is, while the account is not activated.
select id from users where lower(email) = lower(%(email)s) and activated_at is null;

-- name: profile
-- A user's own data.
select id, email, name, role, version, created_at, activated_at from users where id = %(id)s;

-- name: lock_profile
-- A user's own data; the row is locked until the transaction ends.
select id, email, name, role, version, created_at, activated_at from users where id = %(id)s for update;

-- name: rename
-- Change the name.
update users set name = %(name)s, updated_at = clock_timestamp(), version = version + 1 where id = %(id)s
returning id, email, name, role, version, created_at, activated_at;

-- name: delete
-- Delete a user; the tokens go with it.
delete from users where id = %(id)s returning version;
