"""Execution: one attempt of a claimed job, from its handler to the row that records how it ended."""
