"""RabbitMQ, Kafka and the Redis notifications: topology, message codecs, connections."""
