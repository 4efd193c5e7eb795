-- The roles and the database of Money Flow; run by psql as a superuser, safe to repeat.
-- Variables: database, owner_password, app_password, relay_password, audit_password;
-- and owner_user, app_user, relay_user, audit_user where a role has another name than its part.
--
-- owner makes and changes the schema, app serves the API and the workers, relay publishes, audit can only insert.
-- What each may do in the schema is granted by the migrations.

\if :{?owner_user} \else \set owner_user owner
\endif
\if :{?app_user} \else \set app_user app
\endif
\if :{?relay_user} \else \set relay_user relay
\endif
\if :{?audit_user} \else \set audit_user audit
\endif

select format('create role %I login nosuperuser nocreaterole', name)
from unnest(array[:'owner_user', :'app_user', :'relay_user', :'audit_user']) as name
where not exists (select from pg_roles where rolname = name) \gexec

alter role :"owner_user" password :'owner_password';
alter role :"app_user" password :'app_password';
alter role :"relay_user" password :'relay_password';
alter role :"audit_user" password :'audit_password';

select format('create database %I owner %I', :'database', :'owner_user')
where not exists (select from pg_database where datname = :'database') \gexec

revoke all on database :"database" from public;
grant connect, temporary on database :"database" to :"owner_user", :"app_user", :"relay_user", :"audit_user";
