"""The main job on real input: people of many scripts sign up, get their mail, activate, while processes are killed.

Parts, in the order of the play: `people` (who signs up), `crowd` (what they do), `watch` (what can be seen meanwhile),
`view` (how it is shown), `report` (whether the sums hold), `__main__` (the play).
"""
