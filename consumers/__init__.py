"""Consumers: one process per sink, which writes events and its position in the topics in one transaction."""
