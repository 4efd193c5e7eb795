"""Platform: jobs, events and their guarantees. It imports no application code and no process."""
