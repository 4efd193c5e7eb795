"""The operators' tools: command line, migration, the stack on a bare machine, Docker, benchmarks."""
