-- name: find
-- What a sign-in needs of the user with an address.
select id, password_hash, role from users where lower(email) = lower(%(email)s);

-- name: lock
-- Keep the password as it is until the transaction ends.
select password_hash, activated_at from users where id = %(id)s for share;
