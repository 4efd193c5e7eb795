-- name: create
-- Add a category with its event and the answer to the request, unless the request is not the first under its key.
with <<first_request>>, changed as (
    insert into categories (id, user_id, kind, name, parent_id, color, created_at, updated_at)
    select %(id)s, %(user_id)s, %(kind)s, %(name)s, %(parent_id)s, %(color)s, %(created_at)s, %(updated_at)s
    from first_request
    returning id
), emitted as (<<emit_event>>)
<<outcome>>;

-- name: find
-- A category of its owner.
select id, user_id, kind, name, parent_id, color, version, created_at, updated_at
from categories where id = %(id)s and user_id = %(owner_id)s;

-- name: page
-- A page of the owner's categories in the order of their ids, which is that of their creation.
select id, user_id, kind, name, parent_id, color, version, created_at, updated_at
from categories where user_id = %(owner_id)s and (%(after_id)s::uuid is null or id > %(after_id)s)
order by id limit %(limit)s;

-- name: lock_owner
-- Lock the owner of categories until the transaction ends; rows that refer to the owner are not held up.
select id from users where id = %(owner_id)s for no key update;

-- name: lock
-- Lock categories, whose owner is locked, until the transaction ends; rows that refer to them wait.
select id from categories where user_id = %(owner_id)s and id = any(%(ids)s) for update;

-- name: change
-- Change a category that is locked.
update categories set name = %(name)s, parent_id = %(parent_id)s, color = %(color)s, version = %(version)s,
    updated_at = %(updated_at)s
where id = %(id)s and user_id = %(user_id)s;

-- name: with_children
-- A category of the owner and those below it, each with its kind.
select id, kind from categories where user_id = %(owner_id)s and id = %(category_id)s
union all
select id, kind from categories where user_id = %(owner_id)s and parent_id = %(category_id)s;
