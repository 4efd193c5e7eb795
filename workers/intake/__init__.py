"""Intake: how deliveries reach this worker, how many, and how they are acked."""
