#!/bin/sh
# Replace the API's containers by containers of the current image and settings, without an error for its clients.
#
# The new containers start next to the old ones; when they are ready, the old ones finish their requests and stop, one by
# one. Usage: docker compose build api && ops/docker/roll-api.sh
# COMPOSE names another command than `docker compose`, such as one with --env-file.
set -eu
cd "$(dirname "$0")/../.."
compose=${COMPOSE:-docker compose}

old=$($compose ps --quiet api)
count=$(echo "$old" | wc -w)
[ "$count" -gt 0 ] || { echo "no API runs; start it with: $compose up --detach" >&2; exit 1; }
$compose up --detach --no-build --no-deps --no-recreate --wait --scale api=$((2 * count)) api
for container in $old; do
    docker stop --time 40 "$container" >/dev/null
    docker rm "$container" >/dev/null
done
echo "$count replaced"
