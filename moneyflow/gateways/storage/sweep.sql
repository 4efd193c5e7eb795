-- name: begin
-- The moment before which files and rows are compared, by Postgres's clock.
select clock_timestamp() - %(grace)s::interval as before;

-- name: deletions
-- Keys whose rows were deleted, the first in their order.
select key from file_deletions where not exists (select from files where files.key = file_deletions.key)
order by key limit %(limit)s;

-- name: forget_deletions
-- Delete the keys of files that were deleted.
delete from file_deletions where key = any(%(keys)s::text[]);

-- name: page
-- The next keys of rows in their order, of those that were there when the sweep began.
select key from files where key > %(after)s and created_at < %(before)s order by key limit %(limit)s;

-- name: named
-- Those of the keys that have a row now.
select key from files where key = any(%(keys)s::text[]);

-- name: rows
-- The rows of these keys that are there now.
select id, key from files where key = any(%(keys)s::text[]) order by key;
