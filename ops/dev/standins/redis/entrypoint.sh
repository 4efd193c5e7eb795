#!/bin/bash
# What the official entry point does: drop rights, keep files to oneself. No protected mode there, so none here.
set -e
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    chown redis .
    exec setpriv --reuid redis --regid redis --clear-groups --nnp --bounding-set=-all "$0" "$@"
fi
umask 0077
exec "$@" --protected-mode no
