"""Failed jobs and refused messages: groups, operations on many jobs, and the dead letter queue."""
