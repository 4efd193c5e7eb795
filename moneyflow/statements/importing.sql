-- name: unfinished
-- An import that has not ended, with the key of its file, while there is one.
select imports.id, user_id, file_id, files.key, imports.size, plan, rows_read, rows_added, rows_duplicate, rows_refused
from imports left join files on files.id = file_id
where imports.id = %(id)s and outcome is null;

-- name: end
-- Note the end of an import, and return its counts and the file that it needs no more.
with ended as (
    update imports set outcome = %(outcome)s, error = %(error)s, finished_at = clock_timestamp(), file_id = null
    from (select id, file_id from imports where id = %(id)s and outcome is null for update) as before
    where imports.id = before.id
    returning before.file_id, rows_read, rows_added, rows_duplicate, rows_refused
)
select * from ended;
