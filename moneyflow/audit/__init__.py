"""The audit log: every event once, in hash chains."""
