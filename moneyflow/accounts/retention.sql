-- name: user_tokens
-- Delete expired tokens, used or not: a used one is kept until it expires, to tell it from an unknown one.
delete from user_tokens where token_hash in (
    select token_hash from user_tokens where expires_at < clock_timestamp() limit %(limit)s for update skip locked);

-- name: mail_suppressions
-- Delete suppressions that have expired.
delete from mail_suppressions where address_hash in (
    select address_hash from mail_suppressions where expires_at < clock_timestamp() limit %(limit)s
    for update skip locked);

-- name: users
-- Delete accounts that were not activated in time, unless a link that was mailed still works.
delete from users where id in (
    select id from users
    where activated_at is null and created_at < clock_timestamp() - %(kept)s
      and not exists (select from user_tokens where user_id = users.id and expires_at > clock_timestamp())
    limit %(limit)s for update skip locked)
returning id, version;

-- name: sent_mails
-- Delete what is older than any mail's interval.
delete from sent_mails where (user_id, mail) in (
    select user_id, mail from sent_mails where sent_at < clock_timestamp() - interval '7 days'
    limit %(limit)s for update skip locked);

-- name: email_changes
-- Delete changes of e-mail that have expired, confirmed or not.
delete from email_changes where id in (
    select id from email_changes where expires_at < clock_timestamp() limit %(limit)s for update skip locked);
