#!/bin/sh
# Create the database and the roles of the file `roles` where they are missing, and set the passwords of the environment.
#
# Its own short container runs it before every migration. The image's /docker-entrypoint-initdb.d would not do: it runs on an
# empty volume only, so a password changed in .env would never arrive, and a script that failed half way would be skipped
# from then on.
set -eu
here=$(dirname "$0")

# The statements of one role. The passwords come from the environment, because any user of the machine can read arguments.
role() {
    prefix=POSTGRES_$(echo "$1" | tr '[:lower:]' '[:upper:]')
    test "$1" != app || prefix=POSTGRES
    printf '\\set user %s\n\\unset password\n' "$1"
    printf '\\getenv user %s_USER\n\\getenv password %s_PASSWORD\n' "$prefix" "$prefix"
    printf '\\i %s/role.sql\n' "$here"
}

{
    printf '\\getenv database POSTGRES_DB\n\\i %s/database.sql\n' "$here"
    grep -v '^#' "$here/roles" | while read -r name; do role "$name"; done
    printf '\\set user owner\n\\getenv user POSTGRES_OWNER_USER\nalter database :"database" owner to :"user";\n'
    printf '\\set owner :user\n\\set user audit_owner\n\\getenv user POSTGRES_AUDIT_OWNER_USER\n\\i %s/table_owner.sql\n' "$here"
} | psql -X -q -v ON_ERROR_STOP=1
