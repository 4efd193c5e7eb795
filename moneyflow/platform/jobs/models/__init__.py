"""The tables of the job store."""
