"""The stack for development: servers and the application's processes, on this machine or on a Docker engine."""
