-- name: await_upload
-- Make an upload the one that counts.
update users set avatar_upload_id = %(file_id)s where id = %(id)s returning id;

-- name: upload
-- The key of an upload, while it counts.
select files.key from users join files on files.id = users.avatar_upload_id
where users.id = %(id)s and users.avatar_upload_id = %(file_id)s;

-- name: lock
-- A user's avatar; the row is locked until the transaction ends.
select avatar_upload_id, avatar_key from users where id = %(id)s for no key update;

-- name: set
-- Change or remove the avatar; an upload that waited is done.
update users set avatar_key = %(key)s, avatar_upload_id = null, version = version + 1, updated_at = clock_timestamp()
where id = %(id)s
returning version;

-- name: delete_files
-- Delete the rows of files.
delete from files where key = any(%(keys)s);
