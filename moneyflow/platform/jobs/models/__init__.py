"""Tables of the job store."""
