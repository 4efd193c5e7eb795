#!/bin/sh
# Make the roles and the database where they are missing, and give the roles the passwords of the environment.
#
# Its own short container runs it before every migration, not the image's /docker-entrypoint-initdb.d: that runs on an
# empty volume only, so a password changed in .env would never arrive, and a script that failed half way would be
# skipped from then on.
set -eu

# The passwords go by the environment: arguments are seen by everybody who may list processes.
exec psql -X -q -v ON_ERROR_STOP=1 <<SQL
\getenv database POSTGRES_DB
\getenv owner_user POSTGRES_OWNER_USER
\getenv owner_password POSTGRES_OWNER_PASSWORD
\getenv app_user POSTGRES_USER
\getenv app_password POSTGRES_PASSWORD
\getenv relay_user POSTGRES_RELAY_USER
\getenv relay_password POSTGRES_RELAY_PASSWORD
\getenv audit_user POSTGRES_AUDIT_USER
\getenv audit_password POSTGRES_AUDIT_PASSWORD
\i $(dirname "$0")/roles.sql
SQL
