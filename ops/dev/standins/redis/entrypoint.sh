#!/bin/bash
# Same as the official entry point: drop rights, make files private. It has no protected mode, so neither has this.
set -e
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    chown redis .
    exec setpriv --reuid redis --regid redis --clear-groups --nnp --bounding-set=-all "$0" "$@"
fi
umask 0077
exec "$@" --protected-mode no
