-- name: imports
-- The person's imports, each with the rows that were refused.
select id, name, size, outcome, error, rows_read, rows_added, rows_duplicate, rows_refused, created_at, finished_at,
    (select coalesce(jsonb_agg(jsonb_build_object('line', line, 'reason', reason) order by row), '[]')
     from import_refusals where import_id = imports.id) as refused
from imports where user_id = %(owner_id)s order by id;
