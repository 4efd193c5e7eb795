-- name: lock
-- The active account of an address; its row is locked until the transaction ends.
select id, role from users where lower(email) = lower(%(email)s) and activated_at is not null for update;

-- name: promote
-- Make a user an administrator.
update users set role = 'administrator', updated_at = clock_timestamp(), version = version + 1 where id = %(id)s
returning version;

-- name: activate
-- Activate an account.
update users set activated_at = clock_timestamp(), updated_at = clock_timestamp(), version = version + 1
where id = %(id)s
returning version, activated_at;
