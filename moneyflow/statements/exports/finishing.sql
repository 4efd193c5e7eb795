-- name: pending
-- An export that has no file yet, and whose it is.
select export.id, user_id, name as user_name, format, first_day, last_day, export.created_at
from exports export join users on users.id = user_id where export.id = %(id)s and file_id is null;

-- name: lock
-- An export that has no file yet; its account stays until the transaction ends.
select from users where id = (select user_id from exports where id = %(id)s and file_id is null) for key share;

-- name: ready
-- The export is ready; the row expires with the file.
update exports set file_id = %(file_id)s, expires_at = %(expires_at)s where id = %(id)s;
