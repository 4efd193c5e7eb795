-- name: recipient
-- The recipient of a mail.
select id, name, email from users where id = %(user_id)s;

-- name: take_place
-- Note that a job sends a mail to a user, unless another one has within these hours; the same job sends it again.
insert into sent_mails (user_id, mail, job_id) values (%(user_id)s, %(mail)s, %(job_id)s)
on conflict (user_id, mail) do update set job_id = excluded.job_id, sent_at = clock_timestamp()
where sent_mails.job_id = excluded.job_id or sent_mails.sent_at < clock_timestamp() - make_interval(hours => %(hours)s)
returning sent_at;
