#!/bin/bash
# Same as the official entry point, for the variables that the compose file uses.
set -eo pipefail

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" && chown postgres "$PGDATA" && chmod 700 "$PGDATA"
    exec gosu postgres "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD:?superuser password is not specified}"
    eval 'initdb --username=postgres --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD")' "$POSTGRES_INITDB_ARGS"
    printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    # The official entry point runs init files on a server without TCP; the health check must not accept that server.
    pg_ctl -D "$PGDATA" -o "$(printf '%q ' "${@:2}") -c listen_addresses=''" -w start
    sleep 4
    pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec "$@"
