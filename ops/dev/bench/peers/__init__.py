"""Peers: a small application for each job system, all with the same jobs and the same client."""
