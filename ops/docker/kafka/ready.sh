#!/bin/bash
# Health check of Kafka: request its API versions on the clients' port; exit with 0 only for an answer without an error.
#
# PERF: written byte by byte because Kafka's own tool starts a Java machine for the same request: a second of processor
# time, every three seconds.
set -euo pipefail

exec 3<>/dev/tcp/localhost/9092
# length 10, api 18 (ApiVersions), version 0, correlation 7, no client id
printf '\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x07\xff\xff' >&3
# length (any), correlation 7, error 0
answer=$(timeout 3 head -c 10 <&3 | od -An -tx1 | tr -d ' \n')
[[ $answer == ????????000000070000 ]]
