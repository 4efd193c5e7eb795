-- fragment: given
-- The people of a note, locked in the order of their ids.
with locked as (
    select user_id from crm.contacts where user_id = any(%(ids)s) order by user_id for update
), given as (
    select given.* from locked join unnest(
        %(ids)s::uuid[], %(fences)s::bigint[], %(revisions)s::bigint[], %(removed)s::boolean[], %(errors)s::text[],
        %(waits)s::interval[]
    ) as given (id, fence, revision, is_removed, error, wait) on given.id = locked.user_id
)

-- fragment: state
-- The state of a contact as operators see it.
case when set_aside_at is not null then 'set aside' when due_at is not null then 'waiting'
     when is_removed then 'removed' else 'synced' end
