"""Frozen contracts: the JSON Schema of each version of a job or event, against which `make check` compares the code."""
