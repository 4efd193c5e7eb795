"""The tables, one file a sink."""
