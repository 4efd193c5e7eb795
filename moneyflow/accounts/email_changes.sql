-- name: find
-- The address and the password of a user.
select email, password_hash from users where id = %(id)s;

-- name: replace
-- Add a change, and end those of the user that are not confirmed.
with ended as (delete from email_changes where user_id = %(user_id)s and notice_job_id is null)
insert into email_changes (id, user_id, new_email, expires_at)
values (%(id)s, %(user_id)s, %(email)s, clock_timestamp() + make_interval(days => %(days)s));

-- name: lock
-- A change of this user, locked until the transaction ends.
select new_email, notice_job_id from email_changes where id = %(id)s and user_id = %(user_id)s for update;

-- name: set
-- Change the address.
update users set email = %(email)s, updated_at = clock_timestamp(), version = version + 1 where id = %(id)s
returning version;

-- name: confirm
-- Keep the old address for its notice, and end the other changes of the user that are not confirmed.
with ended as (
    delete from email_changes where user_id = %(user_id)s and id <> %(id)s and notice_job_id is null)
update email_changes set old_email = %(old_email)s, notice_job_id = %(job_id)s where id = %(id)s;
