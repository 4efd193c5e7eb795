-- name: issue
-- Keep a token's hash; a mail that is made again has the same token, and its time runs from the first.
insert into user_tokens (token_hash, user_id, purpose, expires_at)
values (%(token_hash)s, %(user_id)s, %(purpose)s, clock_timestamp() + make_interval(hours => %(hours)s))
on conflict (token_hash) do nothing;

-- name: redeem
-- Use a token up, once, however many ask at the same time.
update user_tokens set used_at = clock_timestamp()
where token_hash = %(token_hash)s and purpose = %(purpose)s and used_at is null and expires_at > clock_timestamp()
returning user_id;

-- name: end_others
-- Let no other token of the user serve the same purpose.
update user_tokens set used_at = clock_timestamp()
where user_id = %(user_id)s and purpose = %(purpose)s and used_at is null;
