-- The database of Money Flow, without any right of the public; run by psql as a superuser, safe to repeat.
-- Variable: database.

select format('create database %I', :'database')
where not exists (select from pg_database where datname = :'database') \gexec

revoke all on database :"database" from public;
