-- The roles and the database of Money Flow; run by psql as a superuser, safe to repeat.
-- Variables: database, owner_password, app_password, relay_password, audit_password.
--
-- owner makes and changes the schema, app serves the API and the workers, relay publishes, audit can only insert.
-- What each may do in the schema is granted by the migrations.

select format('create role %I login nosuperuser nocreaterole', name)
from unnest(array['owner', 'app', 'relay', 'audit']) as name
where not exists (select from pg_roles where rolname = name) \gexec

alter role owner password :'owner_password';
alter role app password :'app_password';
alter role relay password :'relay_password';
alter role audit password :'audit_password';

select format('create database %I owner owner', :'database')
where not exists (select from pg_database where datname = :'database') \gexec

revoke all on database :"database" from public;
grant connect, temporary on database :"database" to owner, app, relay, audit;
