-- name: lock_for_activation
-- The account of a person who follows a link; the row is locked until the transaction ends.
select activated_at, password_hash is null as is_invited from users where id = %(id)s for update;

-- name: activate
-- Activate an account; an invited person's gets its password and name.
update users set activated_at = clock_timestamp(), updated_at = clock_timestamp(), version = version + 1,
    password_hash = coalesce(%(password_hash)s, password_hash), name = coalesce(%(name)s, name)
where id = %(id)s
returning version, activated_at;

-- name: find_inactive
-- Whose address it is, while the account is not activated.
select id, password_hash is null as is_invited from users where lower(email) = lower(%(email)s) and activated_at is null;

-- name: profile
-- A user's own data.
select id, email, name, role, avatar_key, version, created_at, activated_at from users where id = %(id)s;

-- name: lock_profile
-- A user's own data; the row is locked until the transaction ends.
select id, email, name, role, avatar_key, version, created_at, activated_at from users where id = %(id)s for update;

-- name: rename
-- Change the name with the event, where the user has still the version before.
with changed as (
    update users set name = %(name)s, updated_at = clock_timestamp(), version = %(version)s
    where id = %(id)s and version = %(version)s - 1
    returning id
), emitted as (<<emit_event>>)
select id from changed;

-- name: delete
-- Delete a user; the tokens go with it.
delete from users where id = %(id)s returning version;
