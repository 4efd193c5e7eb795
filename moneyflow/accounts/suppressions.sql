-- name: add
-- Suppress an address, unless its account was deleted meanwhile; a new bounce replaces the old one.
insert into mail_suppressions (address_hash, user_id, code, status, reason, expires_at)
select %(address_hash)s, id, %(code)s, %(status)s, %(reason)s, clock_timestamp() + make_interval(days => %(days)s)
from users where id = %(user_id)s
on conflict (address_hash) do update set
    user_id = excluded.user_id, code = excluded.code, status = excluded.status, reason = excluded.reason,
    bounced_at = clock_timestamp(), expires_at = excluded.expires_at;

-- name: find
-- The suppression of an address, unless it has expired.
select code, status, bounced_at, expires_at from mail_suppressions
where address_hash = %(address_hash)s and expires_at > clock_timestamp();

-- name: list
-- The suppressions that hold, the newest first.
select user_id, code, status, reason, bounced_at, expires_at from mail_suppressions
where expires_at > clock_timestamp() order by bounced_at desc limit %(limit)s;

-- name: release
-- Delete the suppressions of one user, by id or address, or of all users.
delete from mail_suppressions
where (%(user_id)s::uuid is null or user_id = %(user_id)s)
  and (%(email)s::text is null or user_id = user_id_of(%(email)s));
