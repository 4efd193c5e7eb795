"""The platform: jobs, events and their guarantees. It knows no person, no money and no process."""
