#!/bin/sh
# Replace the API's containers by containers of the current image and settings, without an error for its clients.
#
# The new containers start next to the old ones. When they are ready nginx passes all requests to them, the old ones
# finish theirs, and only then they stop. When the new ones are not ready, they are removed, and the old ones continue.
# Usage: docker compose build api && ops/docker/roll-api.sh
# COMPOSE names another command than `docker compose`, such as one with --env-file.
set -eu
cd "$(dirname "$0")/../.."
compose=${COMPOSE:-docker compose}

old=$($compose ps --quiet api)
count=$(echo "$old" | wc -w)
[ "$count" -gt 0 ] || { echo "no API runs; start it with: $compose up --detach" >&2; exit 1; }

door=$($compose ps --quiet nginx)
[ -n "$door" ] || { echo "nginx does not run; start it with: $compose up --detach" >&2; exit 1; }

in_nginx() { $compose exec -T nginx sh -c "$1"; }
# With the requests that nginx has begun with its last configuration.
reload="nginx -c /tmp/nginx.conf -s reload && sleep 1 && while grep -qs '[s]hutting down' /proc/[0-9]*/cmdline; do sleep 0.2; done"

# The containers of the API that were not there before.
new() {
    for container in $($compose ps --all --quiet api); do
        case "$old" in *"$container"*) ;; *) echo "$container" ;; esac
    done
}
undo() {
    status=$?
    trap - EXIT
    [ "$status" -ne 0 ] || exit 0
    echo "the new containers did not take over: they are removed, and the old ones continue" >&2
    in_nginx "rm -f /tmp/upstream.conf /tmp/server.conf && $reload" || true
    for container in $(new); do docker rm --force "$container" >/dev/null || true; done
    exit "$status"
}
trap undo EXIT
trap 'exit 130' INT TERM HUP

$compose up --detach --no-build --no-deps --no-recreate --wait --scale api=$((2 * count)) api
{
    echo "upstream replaced {"
    for container in $(new); do
        docker inspect --format '    server {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}:9999;' "$container"
    done
    echo "}"
} | in_nginx "cat >/tmp/upstream.conf && echo 'set \$replicas replaced;' >/tmp/server.conf && $reload"

# From here on the new ones serve, so that a failure leaves them; nginx finds all that run by their name.
trap '[ $? -eq 0 ] || in_nginx "rm -f /tmp/upstream.conf /tmp/server.conf && $reload"' EXIT
for container in $old; do
    docker stop --time 40 "$container" >/dev/null
    docker rm "$container" >/dev/null
done
# From now on the name has the new ones alone.
in_nginx "rm /tmp/upstream.conf /tmp/server.conf && $reload"
echo "$count replaced"
