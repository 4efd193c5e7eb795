-- name: insert_user
-- Make an account, unless the address has one.
insert into users (id, email, name, password_hash) values (%(id)s, %(email)s, %(name)s, %(password_hash)s)
on conflict (lower(email)) do nothing
returning created_at;

-- name: activate
-- Activate an account that is not yet.
update users set activated_at = clock_timestamp(), updated_at = clock_timestamp(), version = version + 1
where id = %(id)s and activated_at is null
returning version, activated_at;

-- name: find_activation
-- When an account was activated.
select activated_at from users where id = %(id)s;
