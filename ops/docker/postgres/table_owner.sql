-- A role that owns tables and that no process is: it cannot log in. The owner of the schema becomes it in a migration, by
-- `set role`, and has none of its rights before that: rights are not inherited through a role with `noinherit`. Run by
-- psql as a superuser, safe to repeat.
-- Variables: user, owner.

\set members :user _members
select format('create role %I nologin', :'user')
where not exists (select from pg_roles where rolname = :'user') \gexec
select format('create role %I nologin noinherit', :'members')
where not exists (select from pg_roles where rolname = :'members') \gexec

grant :"user" to :"members";
grant :"members" to :"owner";
