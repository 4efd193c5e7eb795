"""Claims: this worker's lock and heartbeat in Postgres, and the jobs that it holds."""
