"""Tables of the sinks that are no feature of the application: each in a schema of its own."""
