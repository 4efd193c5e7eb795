#!/bin/sh
# Fill in the template for the container, check it, and run nginx.
set -eu
: "${APP_URL:?}" "${CLIENT_REQUESTS_PER_SECOND:?}" "${CLIENT_CONNECTIONS:?}"

case $APP_URL$CLIENT_REQUESTS_PER_SECOND$CLIENT_CONNECTIONS in *[!A-Za-z0-9:/._-]*)
    echo "APP_URL, CLIENT_REQUESTS_PER_SECOND or CLIENT_CONNECTIONS has a character that no address and no number has; correct .env" >&2
    exit 1 ;;
esac
case ${CORS_ORIGINS:-} in *[!A-Za-z0-9:/.,\ _-]*)
    echo "CORS_ORIGINS has a character that no origin has; correct .env" >&2
    exit 1 ;;
esac
origins=
for origin in $(echo "${CORS_ORIGINS:-}" | tr ', ' '

' | sort -u); do
    origins="$origins\"$origin\" \"$origin\"; "
done

# Docker's name server knows the replicas that run now.
sed \
    -e "s|@USER@||" \
    -e "s|@RUN@|/tmp|" \
    -e "s|@LOG@|/dev/stdout|" \
    -e "s|@TYPES@|/etc/nginx/mime.types|" \
    -e "s|@RESOLVER@|resolver 127.0.0.11 valid=1s ipv6=off;|" \
    -e "s|@CERTIFICATE@|/certificates/server.pem|" \
    -e "s|@KEY@|/certificates/server.key|" \
    -e "s|@HTTP@|80|" \
    -e "s|@HTTPS@|443|" \
    -e "s|@LOCAL@|listen 9999;|" \
    -e "s|@REPLICAS@|api:9999|" \
    -e "s|@STORAGE@|/storage/app|" \
    -e "s|@APP_URL@|${APP_URL%/}|" \
    -e "s|@CORS@|$origins|" \
    -e "s|@REQUESTS@|$CLIENT_REQUESTS_PER_SECOND|" \
    -e "s|@BURST@|$((CLIENT_REQUESTS_PER_SECOND * 5))|" \
    -e "s|@CONNECTIONS@|$CLIENT_CONNECTIONS|" \
    /etc/nginx/nginx.conf.template >/tmp/nginx.conf

exec nginx -c /tmp/nginx.conf -g "daemon off;"
