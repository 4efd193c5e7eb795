#!/bin/bash
# Write the definitions (users, vhost, permissions, queues) from the environment, then run the image's entry point.
#
# RabbitMQ reads them at every start, so a password that is changed in .env is valid after a restart, and a server that has
# lost its data has its queues again. What exists already stays as it is.
set -euo pipefail
: "${JOBS_VHOST:?}"
template=/usr/local/share/money-flow/definitions.json.template
definitions=/etc/rabbitmq/definitions.json

check() {
    if [[ $1 == *[!A-Za-z0-9_./-]* ]]; then
        echo "'$1' is not valid: users and the vhost of RabbitMQ may have letters, digits and _ . / - only; correct .env" >&2
        exit 1
    fi
}

# The password's hash in RabbitMQ's format: a salt of four bytes, then SHA-256 over salt and password.
bytes() { printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"; }
hash_of() {
    local salt digest
    salt=$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
    digest=$({ bytes "$salt"; printf %s "$1"; } | sha256sum | cut -c1-64)
    bytes "$salt$digest" | base64 -w0
}

check "$JOBS_VHOST"
rendered=(-e "s|@VHOST@|$JOBS_VHOST|g")
for login in OPERATOR MIGRATE RELAY WORKER; do
    user=JOBS_${login}_USER password=JOBS_${login}_PASSWORD
    : "${!user:?}" "${!password:?}"
    check "${!user}"
    rendered+=(-e "s|@${login}_USER@|${!user}|g" -e "s|@${login}_HASH@|$(hash_of "${!password}")|g")
    unset "$user" "$password"
done
sed "${rendered[@]}" "$template" >"$definitions"
chown rabbitmq "$definitions"
chmod 400 "$definitions"
unset JOBS_VHOST

exec docker-entrypoint.sh "$@"
