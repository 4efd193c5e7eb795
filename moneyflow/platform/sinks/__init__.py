"""Sinks as operators see and repair them: dead letters of events, and positions in the topics."""
