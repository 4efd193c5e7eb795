"""Demo: the main job on real input: people sign up in many scripts, get mail, activate, visit; a worker is killed.

Its parts in their order: `people` (the input), `client` (sends, and repeats what was too early), `crowd` (sign-ups and
activations), `visit` (what active people do, and try though they may not), `watch` (reads the servers meanwhile),
`view` (the live table), `report` (checks the sums), `__main__` (the play).
"""
