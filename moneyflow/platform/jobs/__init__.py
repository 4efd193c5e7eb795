"""Jobs: the contract base and its policies, enqueue, batches, schedules.

`store/` is a job's life in SQL; `failed/` is what operators see of failures and do about them.
"""
