-- name: lock
-- The last events that are known of people. The rows are locked in the order of the ids, as every statement here does.
select user_id, user_sequence, auth_sequence from crm.contacts where user_id = any(%(ids)s) order by user_id for update;

-- name: mark
-- Note that people changed: they are due, and what set one aside is over.
insert into crm.contacts as contact (user_id, user_sequence, auth_sequence, last_sign_in_at, due_at)
select id, user_sequence, auth_sequence, signed_in_at, clock_timestamp()
from unnest(%(ids)s::uuid[], %(user_sequences)s::bigint[], %(auth_sequences)s::bigint[], %(signed_in)s::timestamptz[])
    as given (id, user_sequence, auth_sequence, signed_in_at)
order by id
on conflict (user_id) do update set
    user_sequence = greatest(contact.user_sequence, excluded.user_sequence),
    auth_sequence = greatest(contact.auth_sequence, excluded.auth_sequence),
    last_sign_in_at = greatest(contact.last_sign_in_at, excluded.last_sign_in_at),
    revision = contact.revision + 1,
    changed_at = clock_timestamp(),
    due_at = clock_timestamp(),
    attempts = 0, error = null, failed_at = null, set_aside_at = null;
