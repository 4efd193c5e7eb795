-- name: lock_holder
-- Whose address it is; the row is locked until the transaction ends.
select id, version, activated_at is not null as is_active, activated_at is null and password_hash is null as is_invited
from users where lower(email) = lower(%(email)s) for update;

-- name: insert
-- Make an account, unless the address has one.
insert into users (id, email, name, password_hash, role)
values (%(id)s, %(email)s, %(name)s, %(password_hash)s, %(role)s)
on conflict (lower(email)) do nothing
returning created_at;

-- name: replace
-- Make an account of the row of one that was never activated. Its tokens end; that its address bounced stays known.
with ended as (delete from user_tokens where user_id = %(replaced)s)
update users set
    id = %(id)s, email = %(email)s, name = %(name)s, password_hash = %(password_hash)s, role = %(role)s, version = 1,
    created_at = clock_timestamp(), updated_at = clock_timestamp()
where id = %(replaced)s
returning created_at;

-- name: delete
-- Delete a user; the tokens go with it.
delete from users where id = %(id)s;
