"""The tests, which read like a specification."""
