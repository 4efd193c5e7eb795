-- name: user_tokens
-- Delete expired tokens, used or not: a used one is kept until it expires, to tell it from an unknown one.
delete from user_tokens where token_hash in (
    select token_hash from user_tokens where expires_at < clock_timestamp() limit %(limit)s for update skip locked);

-- name: mail_suppressions
-- Delete suppressions that have expired.
delete from mail_suppressions where address_hash in (
    select address_hash from mail_suppressions where expires_at < clock_timestamp() limit %(limit)s
    for update skip locked);
