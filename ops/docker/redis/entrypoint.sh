#!/bin/sh
# Write the ACL file from the environment, then run the image's entry point. The file has a hash, never the password.
set -eu
: "${REDIS_USER:?}" "${REDIS_PASSWORD:?}"

case $REDIS_USER in *[!A-Za-z0-9_-]*)
    echo "'$REDIS_USER' is not valid: REDIS_USER may have letters, digits, _ and - only; correct .env" >&2
    exit 1 ;;
esac

acl=/run/money-flow/users.acl
hash=$(printf %s "$REDIS_PASSWORD" | sha256sum | cut -d' ' -f1)
mkdir -p "$(dirname "$acl")"
sed "s/@USER@/$REDIS_USER/; s/@PASSWORD@/#$hash/" /usr/local/share/money-flow/users.acl.template >"$acl"
chown redis "$acl"
chmod 400 "$acl"

exec docker-entrypoint.sh "$@" --aclfile "$acl"
