"""Failed jobs and refused messages: groups, operations on many at once, and the dead letter queue."""
