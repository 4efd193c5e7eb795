"""Failed jobs and refused messages: groups, lists, operations on many items, and the dead letter queue."""
