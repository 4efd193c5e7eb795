"""Jobs: the contract base and its policies, enqueue, batches, schedules.

`store/` is the job store, a job's life in SQL; `failed/` shows operators failed jobs and replays or discards them.
"""
