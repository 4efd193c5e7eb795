"""Brokers: connections, topology and message codecs of RabbitMQ and Kafka, and notifications by Redis."""
