#!/bin/bash
# Same as Apache's scripts: write the properties from the environment, format the folder, run the server.
set -euo pipefail
read -ra options <<<"${KAFKA_HEAP_OPTS:-} -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
options+=(-cp '/opt/kafka/libs/*')

setup=$(java "${options[@]}" kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker \
    --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) ||
    { grep -qi "already formatted" <<<"$setup" || { echo "$setup"; exit 1; }; }
echo "$setup"
exec java "${options[@]}" kafka.Kafka /opt/kafka/config/server.properties
