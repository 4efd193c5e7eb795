-- name: contacts
-- What is noted about a person, for the person.
select changed_at, last_sign_in_at, synced_at, synced_version, error, failed_at from crm.contacts
where user_id = %(owner_id)s;
