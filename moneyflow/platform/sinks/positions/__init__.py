"""Positions of sinks: what Postgres and Kafka know of them, and operations that skip and rewind."""
