"""Exports: statements as CSV or PDF, and all data of a person, made by a job as a private file that expires."""
