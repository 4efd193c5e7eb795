"""The relay: the only process that publishes. One leader at a time, any number of standbys.

`leader` elects, `jobs` publishes to RabbitMQ and `events` to Kafka, `limits` admits, `batches` and `schedules` end and
tick, `rescuer` repairs after crashes, `probes` and `statistics` watch; `__main__` wires all of it, a `loop` for each.
"""
