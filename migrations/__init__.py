"""Alembic: the frozen history of the schema."""
