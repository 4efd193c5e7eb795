"""The relay: the only process that publishes. One leader at a time, any number standing by.

Parts: `leader` (who publishes), `jobs` (to RabbitMQ), `events` (to Kafka), `batches` (which have ended), `reconcile`
(what a crash left behind), `__main__` (all of it wired together).
"""
