"""A job's life in SQL: claimed, finished, retried, failed, taken back, published.

Parts, in the order of that life: `relay` (published, and what a crash left behind taken back), `presence` (a worker
proves that it lives), `claim` and `finish` (the workers), `batches` (jobs that end together), `failed` and
`operations` (what failed, and what operators do about it), `reading` (who asks how a job is).
"""
