"""Telemetry of a process: logs, metrics, health, and the origin of its work."""
