-- name: fetch
-- The next rows of the cursor.
fetch 2000 from part;

-- name: close
-- The end of the cursor.
close part;

-- name: files
-- The person's files, but for those that exports have made.
select id, key, name from files
where owner_id = %(owner_id)s and not exists (select from exports where file_id = files.id)
order by id;
