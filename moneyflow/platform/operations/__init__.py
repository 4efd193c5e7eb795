"""Operations on many items: frozen, previewed, paced, with a canary, resumable, and kept with a result for each item.

`engine.py` runs them; a source (`sources.py`) owns the items: jobs, dead letters of events, positions of sinks.
"""
