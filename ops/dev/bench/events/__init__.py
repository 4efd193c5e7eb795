"""Benchmarks of events: the relay from the outbox to Kafka, and each sink from a backlog."""
