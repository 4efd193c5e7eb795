#!/bin/bash
# Write the definitions (user, vhost, permissions) from the environment, then run the image's entry point.
#
# RabbitMQ reads them at every start, so a password that is changed in .env is valid after a restart. Exchanges and
# queues are not among them: their arguments are part of their identity, so the migration alone declares them.
set -euo pipefail
: "${JOBS_USER:?}" "${JOBS_PASSWORD:?}" "${JOBS_VHOST:?}"

for name in "$JOBS_USER" "$JOBS_VHOST"; do
    if [[ $name == *[!A-Za-z0-9_./-]* ]]; then
        echo "'$name' is not valid: RABBITMQ_USER and RABBITMQ_VHOST may have letters, digits and _ . / - only; correct .env" >&2
        exit 1
    fi
done

# The password's hash in RabbitMQ's format: a salt of four bytes, then SHA-256 over salt and password.
bytes() { printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"; }
salt=$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
digest=$({ bytes "$salt"; printf %s "$JOBS_PASSWORD"; } | sha256sum | cut -c1-64)
hash=$(bytes "$salt$digest" | base64 -w0)

definitions=/etc/rabbitmq/definitions.json
cat >"$definitions" <<JSON
{
  "users": [{"name": "$JOBS_USER", "password_hash": "$hash",
             "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "monitoring,policymaker"}],
  "vhosts": [{"name": "$JOBS_VHOST"}],
  "permissions": [{"user": "$JOBS_USER", "vhost": "$JOBS_VHOST", "configure": ".*", "write": ".*", "read": ".*"}]
}
JSON
chown rabbitmq "$definitions"
chmod 400 "$definitions"
unset JOBS_USER JOBS_PASSWORD JOBS_VHOST

exec docker-entrypoint.sh "$@"
