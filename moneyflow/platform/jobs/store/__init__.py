"""Job store: a job's life in SQL, one module and one `.sql` file for each part of it.

Workers use `claims`, `completion` (an attempt ends) and `heartbeat`; the relay uses `publication` (to RabbitMQ),
`rescue` (from dead workers), `admission` (under limits), `batches` and `schedules`; operators and the API use `control`
(cancel, pause), `status` and `schedules`. `fragments.sql` holds the SQL that several statements share.
"""

from pathlib import Path

#: SQL that several statements share, such as the set of unfinished states and the columns that a job's end sets.
FRAGMENTS = Path(__file__).with_name("fragments.sql")
