-- name: people
-- The next people in the order of their ids, with what the sync knows of each.
select users.id, email, name, created_at, activated_at, contact.last_sign_in_at, contact.digest,
    contact.synced_version is not null and contact.synced_version = contact.version and not contact.is_removed
        as is_acknowledged,
    contact.due_at is not null as is_waiting, contact.set_aside_at is not null as is_set_aside
from users left join crm.contacts contact on contact.user_id = users.id
where users.id > %(after)s order by users.id limit %(limit)s;

-- name: again
-- The same of some people.
select users.id, email, name, created_at, activated_at, contact.last_sign_in_at, contact.digest,
    contact.synced_version is not null and contact.synced_version = contact.version and not contact.is_removed
        as is_acknowledged,
    contact.due_at is not null as is_waiting, contact.set_aside_at is not null as is_set_aside
from users left join crm.contacts contact on contact.user_id = users.id
where users.id = any(%(ids)s);

-- name: unknown
-- Those of the ids that are no one's here, and whose removal does not wait.
select asked.id from unnest(%(ids)s::uuid[]) as asked (id)
where not exists (select from users where users.id = asked.id)
    and not exists (select from crm.contacts where user_id = asked.id and due_at is not null);
