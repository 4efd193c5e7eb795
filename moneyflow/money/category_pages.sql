-- name: page
-- The owner's categories after an id; ids are in the order of the creation.
select id, user_id, kind, name, parent_id, color, version, created_at, updated_at from categories
where user_id = %(owner_id)s and (%(after_id)s::uuid is null or id > %(after_id)s)
order by id limit %(limit)s;
