"""The contestants: one tiny application for each job system, all with the same four jobs and the same client."""
