"""The stack on this very machine: real servers and the application's processes, known by pid."""
