"""The processes that read events: one a sink, each writes what it read and how far it came in one transaction."""
