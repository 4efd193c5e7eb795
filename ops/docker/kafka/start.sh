#!/bin/bash
# Format the storage with the first users at the first start, then run the image's own start.
#
# The users are `broker`, the node's own, and the migration's, who makes all others (`python -m ops.kafka_users`). The image
# would format the storage too, without users, and no client could log in.
set -euo pipefail
: "${USERS_BROKER_PASSWORD:?}" "${USERS_MIGRATE_USER:?}" "${USERS_MIGRATE_PASSWORD:?}"

for value in "$USERS_BROKER_PASSWORD" "$USERS_MIGRATE_USER" "$USERS_MIGRATE_PASSWORD"; do
    if [[ $value == *[!A-Za-z0-9_.~+/=-]* ]]; then
        echo "the passwords KAFKA_BROKER_PASSWORD and KAFKA_MIGRATE_PASSWORD, and KAFKA_MIGRATE_USER, may have letters," \
            "digits and _ . ~ + / = - only; correct .env" >&2
        exit 1
    fi
done

module=org.apache.kafka.common.security
broker="required username=\"broker\" password=\"$USERS_BROKER_PASSWORD\""
export KAFKA_LISTENER_NAME_CLIENTS_SCRAM___SHA___512_SASL_JAAS_CONFIG="$module.scram.ScramLoginModule $broker;"
export KAFKA_LISTENER_NAME_HOST_SCRAM___SHA___512_SASL_JAAS_CONFIG="$module.scram.ScramLoginModule $broker;"
# The controller cannot look up SCRAM users before it runs.
export KAFKA_LISTENER_NAME_CONTROLLER_PLAIN_SASL_JAAS_CONFIG="$module.plain.PlainLoginModule $broker user_broker=\"$USERS_BROKER_PASSWORD\";"

if [ ! -e "$KAFKA_LOG_DIRS/meta.properties" ]; then
    scratch=$(mktemp -d)
    # In files: arguments can be read by every process of the container.
    cat >"$scratch/server.properties" <<PROPERTIES
process.roles=$KAFKA_PROCESS_ROLES
node.id=$KAFKA_NODE_ID
controller.quorum.voters=$KAFKA_CONTROLLER_QUORUM_VOTERS
controller.listener.names=$KAFKA_CONTROLLER_LISTENER_NAMES
listeners=$KAFKA_LISTENERS
advertised.listeners=$KAFKA_ADVERTISED_LISTENERS
listener.security.protocol.map=$KAFKA_LISTENER_SECURITY_PROTOCOL_MAP
inter.broker.listener.name=$KAFKA_INTER_BROKER_LISTENER_NAME
log.dirs=$KAFKA_LOG_DIRS
PROPERTIES
    cat >"$scratch/arguments" <<ARGUMENTS
format
--cluster-id=$CLUSTER_ID
--config=$scratch/server.properties
--ignore-formatted
--add-scram=SCRAM-SHA-512=[name=broker,password=$USERS_BROKER_PASSWORD]
--add-scram=SCRAM-SHA-512=[name=$USERS_MIGRATE_USER,password=$USERS_MIGRATE_PASSWORD]
ARGUMENTS
    java -Xmx128m -cp '/opt/kafka/libs/*' kafka.tools.StorageTool "@$scratch/arguments"
    rm -r "$scratch"
fi
unset USERS_BROKER_PASSWORD USERS_MIGRATE_USER USERS_MIGRATE_PASSWORD broker

exec bash /etc/kafka/docker/run
