"""Analytics: what the events add up to, exact under redelivery, reorder and late events, and rebuildable.

1. A sink reads events into `changes.py`: the latest state of each transaction, and marks of people and days.
2. `store.py` keeps the last state and sequence of each transaction, and changes the sums by the difference to the new
   state. So an event counts once, in whatever order the events of a transaction arrive.
3. `pages.py` reads the sums for their owner, and `freshness.py` says up to when the events are counted.
4. `rebuild.py` fills another generation of all rows from the log or from the tables while the sink writes both.
"""
