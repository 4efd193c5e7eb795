#!/bin/sh
# Replace the API's containers by containers of the current image and settings, without an error for its clients.
#
# The new containers start next to the old ones. When they are ready nginx passes all requests to them, the old ones
# finish theirs, and only then they stop. Usage: docker compose build api && ops/docker/roll-api.sh
# COMPOSE names another command than `docker compose`, such as one with --env-file.
set -eu
cd "$(dirname "$0")/../.."
compose=${COMPOSE:-docker compose}

old=$($compose ps --quiet api)
count=$(echo "$old" | wc -w)
[ "$count" -gt 0 ] || { echo "no API runs; start it with: $compose up --detach" >&2; exit 1; }

in_nginx() { $compose exec -T nginx sh -c "$1"; }
# With the requests that nginx has begun with its last configuration.
reload="nginx -s reload && sleep 1 && while grep -qs '[s]hutting down' /proc/[0-9]*/cmdline; do sleep 0.2; done"

$compose up --detach --no-build --no-deps --no-recreate --wait --scale api=$((2 * count)) api
{
    echo "upstream replaced {"
    for container in $($compose ps --quiet api); do
        case "$old" in *"$container"*) continue ;; esac
        docker inspect --format '    server {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}:9999;' "$container"
    done
    echo "}"
} | in_nginx "cat >/tmp/upstream.conf && echo 'set \$replicas replaced;' >/tmp/server.conf && $reload"

for container in $old; do
    docker stop --time 40 "$container" >/dev/null
    docker rm "$container" >/dev/null
done
# From now on the name has the new ones alone.
in_nginx "rm /tmp/upstream.conf /tmp/server.conf && $reload"
echo "$count replaced"
