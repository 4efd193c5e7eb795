-- name: users
-- The account, without the password's hash.
select id, email, name, role, version, created_at, updated_at, activated_at, avatar_key from users
where id = %(owner_id)s;

-- name: user_tokens
-- The links in mails, without their tokens.
select purpose, created_at, expires_at, used_at from user_tokens where user_id = %(owner_id)s order by created_at;

-- name: sent_mails
-- Mails that are sent once in some hours.
select mail, sent_at from sent_mails where user_id = %(owner_id)s order by sent_at;

-- name: mail_suppressions
-- Why no mail is sent to an address of the person.
select code, status, reason, bounced_at, expires_at from mail_suppressions where user_id = %(owner_id)s;

-- name: email_changes
-- Changes of the address.
select new_email, old_email, expires_at from email_changes where user_id = %(owner_id)s;
