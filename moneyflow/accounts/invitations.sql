-- name: insert
-- Keep who is invited until the accounts are made.
insert into invitations (id, batch_id, line, email, name)
select id, %(batch_id)s, line, email, name
from json_to_recordset(%(people)s::json) as invited (id uuid, line integer, email text, name text);

-- name: take
-- Delete an invitation whose account is made now.
delete from invitations where id = %(id)s returning batch_id, line, email, name;
