-- name: issue
-- Insert a token's hash; a mail that is sent again has the same token, whose time counts from the first mail.
insert into user_tokens (token_hash, user_id, purpose, expires_at, job_id)
values (%(token_hash)s, %(user_id)s, %(purpose)s, clock_timestamp() + make_interval(hours => %(hours)s), %(job_id)s)
on conflict (token_hash) do nothing;

-- name: lock_user
-- Lock the user of a token until the transaction ends: before the token's row, in the order of a deletion.
select users.id from user_tokens join users on users.id = user_id
where token_hash = %(token_hash)s and purpose = %(purpose)s
for update of users;

-- name: redeem
-- Use a token, once; of concurrent requests one gets the row.
update user_tokens set used_at = clock_timestamp()
where token_hash = %(token_hash)s and purpose = %(purpose)s and used_at is null and expires_at > clock_timestamp()
returning user_id, job_id;

-- name: find_used
-- Whose token it was.
select user_id, job_id from user_tokens
where token_hash = %(token_hash)s and purpose = %(purpose)s and used_at is not null and expires_at > clock_timestamp();

-- name: end_others
-- Use all other tokens of the user for the same purpose.
update user_tokens set used_at = clock_timestamp()
where user_id = %(user_id)s and purpose = %(purpose)s and used_at is null;

-- name: end_all
-- Use all tokens of the user.
update user_tokens set used_at = clock_timestamp() where user_id = %(user_id)s and used_at is null;
