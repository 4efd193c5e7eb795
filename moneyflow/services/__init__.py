"""Use cases: what the API and the jobs both call; one file a noun, verbs inside."""
