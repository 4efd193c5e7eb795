"""Developer tools; never in the production image."""
