-- name: lock_owner
-- The owner of an import; the account cannot be deleted until the transaction ends.
select id from users where id = %(user_id)s for key share;

-- name: lock
-- An import that has come to a row and no further; it is locked until the transaction ends.
select id from imports where id = %(id)s and rows_read = %(rows_read)s and outcome is null for update;

-- name: keep_keys
-- Keep the keys of entries, and return those that were not there.
insert into import_keys (user_id, key)
select %(user_id)s, key from unnest(%(keys)s::bytea[]) with ordinality as given (key, position) order by position
on conflict do nothing
returning key;

-- name: lock_categories
-- The owner's categories, which stay until the transaction ends.
select id, kind, name from categories where user_id = %(owner_id)s order by id for key share;

-- name: refuse
-- Keep rows that were refused.
insert into import_refusals (import_id, row, line, reason)
select %(id)s, given.* from unnest(%(rows)s::integer[], %(lines)s::integer[], %(reasons)s::text[]) as given;

-- name: count
-- Count a batch of an import that is locked.
update imports set rows_read = rows_read + %(read)s, rows_added = rows_added + %(added)s,
    rows_duplicate = rows_duplicate + %(duplicate)s, rows_refused = rows_refused + %(refused)s
where id = %(id)s;
