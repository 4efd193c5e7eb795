-- name: recipient
-- The recipient of a mail. A change of the address waits, and then ends the link that the mail carries.
select id, name, email from users where id = %(user_id)s for share;

-- name: recipient_of_change
-- The recipient of a mail about a change of e-mail: the new address for the link, the old one for the notice.
select users.id, name, case when notice_job_id = %(job_id)s then old_email else new_email end as email
from email_changes change join users on users.id = change.user_id
where user_id = %(user_id)s and (change.id = %(job_id)s or notice_job_id = %(job_id)s and old_email is not null)
  and expires_at > clock_timestamp();

-- name: forget_old_address
-- The notice is sent: no one needs the old address any more.
update email_changes set old_email = null where notice_job_id = %(job_id)s;

-- name: take_place
-- Note that a job sends a mail to a user, unless another one has within these hours; the same job sends it again.
insert into sent_mails (user_id, mail, job_id) values (%(user_id)s, %(mail)s, %(job_id)s)
on conflict (user_id, mail) do update set job_id = excluded.job_id, sent_at = clock_timestamp()
where sent_mails.job_id = excluded.job_id or sent_mails.sent_at < clock_timestamp() - make_interval(hours => %(hours)s)
returning sent_at;
