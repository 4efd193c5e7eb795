-- One login role with its password and its access to the database; run by psql as a superuser, safe to repeat.
-- Variables: database, user, password.

select format('create role %I login nosuperuser nocreaterole', :'user')
where not exists (select from pg_roles where rolname = :'user') \gexec

alter role :"user" password :'password';
grant connect, temporary on database :"database" to :"user";
