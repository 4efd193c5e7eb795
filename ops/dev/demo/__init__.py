"""Demo: the main job on real input: people sign up in many scripts, get mail and activate, while a worker is killed.

Its parts in their order: `people` (the input), `crowd` (the requests), `watch` (reads the servers meanwhile), `view`
(the live table), `report` (checks the sums), `__main__` (the play).
"""
