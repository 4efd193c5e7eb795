-- name: contacts
-- Delete what is noted about people whose contacts were deleted a month ago.
delete from crm.contacts where user_id in (
    select user_id from crm.contacts
    where is_removed and due_at is null and set_aside_at is null and synced_at < clock_timestamp() - %(kept)s
    limit %(limit)s for update skip locked);
