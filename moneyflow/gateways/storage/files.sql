-- name: add
-- Insert the row of a written file; an owner whose account was deleted meanwhile is none.
insert into files (id, key, owner_id, job_id, name, content_type, size, sha256, expires_at)
values (%(id)s, %(key)s, (select id from users where id = %(owner_id)s), %(job_id)s, %(name)s, %(content_type)s,
    %(size)s, %(sha256)s, %(expires_at)s);

-- name: find
-- A file, for its owner and for administrators, until it expires.
select id, key, name, content_type, size, sha256, created_at, expires_at
from files
where id = %(id)s and (owner_id = %(owner_id)s or %(sees_all)s)
  and (expires_at is null or expires_at > clock_timestamp());

-- name: delete
-- Delete a file's row; its key is left in file_deletions.
delete from files where id = %(id)s;
