"""The job store: a job's life in SQL, one module and one `.sql` file for each part of it.

`claims` (a worker takes jobs) and `completion` (an attempt ends) are the workers'; `publication` (to RabbitMQ),
`rescue` (from dead workers) and `admission` (under limits) the relay's; `control` (cancel, pause), `status`, `files`,
`workers` and `schedules` serve both and the operators. `fragments.sql` holds what several statements share.
"""

from pathlib import Path

#: Conditions and assignments that are written once, such as the set of unfinished states and what a job's end sets.
FRAGMENTS = Path(__file__).with_name("fragments.sql")
