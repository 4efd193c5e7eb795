-- name: claim
-- Lease people who are due, the longest due first. A lease that is over was of a sender that died or is frozen: whether it
-- has sent, or will, is unknown.
with due as (
    select user_id from crm.contacts
    where due_at <= clock_timestamp() and (leased_until is null or leased_until <= clock_timestamp())
    order by due_at limit %(limit)s for update skip locked
)
update crm.contacts as contact set
    fence = contact.fence + 1,
    leased_until = clock_timestamp() + %(lease)s,
    is_unsure = contact.is_unsure or contact.leased_until is not null
from due where contact.user_id = due.user_id
returning contact.user_id, contact.revision, contact.fence, contact.version, contact.digest, contact.synced_version,
    contact.last_sign_in_at, contact.is_unsure or contact.must_send as must_send, contact.attempts;

-- name: people
-- The people as they are now; one who is not here is deleted.
select id, email, name, created_at, activated_at from users where id = any(%(ids)s);

-- name: keep_states
-- Note which state of each person is sent now.
update crm.contacts as contact set version = given.version, digest = given.digest
from unnest(%(ids)s::uuid[], %(versions)s::bigint[], %(digests)s::bytea[]) as given (id, version, digest)
where contact.user_id = given.id;

-- name: unchanged
-- The CRM has this state already.
<<given>>
update crm.contacts as contact set
    leased_until = null,
    due_at = case when contact.revision <> given.revision then clock_timestamp() end,
    is_removed = given.is_removed,
    synced_at = coalesce(contact.synced_at, clock_timestamp()),
    last_sign_in_at = case when not given.is_removed then contact.last_sign_in_at end,
    attempts = 0, error = null, failed_at = null
from given where contact.user_id = given.id and contact.fence = given.fence
returning contact.user_id;

-- name: accepted
-- The CRM has taken this state. Where an earlier request has no answer, the person is sent once more when it has surely
-- arrived, because the older state could have been written last.
<<given>>
update crm.contacts as contact set
    leased_until = null,
    due_at = case when contact.revision <> given.revision then clock_timestamp()
                  when contact.is_unsure then clock_timestamp() + %(settle)s end,
    must_send = contact.is_unsure,
    is_unsure = false,
    synced_at = clock_timestamp(),
    synced_version = contact.version,
    is_removed = given.is_removed,
    last_sign_in_at = case when not given.is_removed then contact.last_sign_in_at end,
    attempts = 0, error = null, failed_at = null
from given where contact.user_id = given.id and contact.fence = given.fence
returning contact.user_id;

-- name: refused
-- The CRM refuses the person: set aside, unless the person has changed meanwhile, or the refusal may pass.
<<given>>
update crm.contacts as contact set
    leased_until = null,
    due_at = case when contact.revision <> given.revision then clock_timestamp()
                  when given.wait is not null then clock_timestamp() + given.wait end,
    set_aside_at = case when contact.revision = given.revision and given.wait is null then clock_timestamp() end,
    attempts = contact.attempts + 1, error = given.error, failed_at = clock_timestamp()
from given where contact.user_id = given.id and contact.fence = given.fence
returning contact.user_id;

-- name: failed
-- The CRM is down: the person waits.
<<given>>
update crm.contacts as contact set
    leased_until = null,
    due_at = clock_timestamp() + given.wait,
    is_unsure = contact.is_unsure or %(may_have_acted)s,
    attempts = contact.attempts + 1, error = given.error, failed_at = clock_timestamp()
from given where contact.user_id = given.id and contact.fence = given.fence
returning contact.user_id;

-- name: released
-- Nothing was sent of these.
<<given>>
update crm.contacts as contact set leased_until = null
from given where contact.user_id = given.id and contact.fence = given.fence
returning contact.user_id;

-- name: overtaken
-- Another sender has taken these over while this one sent an older state: they are sent again.
update crm.contacts set is_unsure = true, due_at = clock_timestamp(), set_aside_at = null
where user_id = any(%(ids)s);
