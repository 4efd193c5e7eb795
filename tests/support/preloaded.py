"""What the processes of tests import, imported once; see `tests.support.forks`. The jobs of tests are not among it."""

import gc
import threading

import consumers.__main__  # noqa: F401 - see above, and so below
import ops.cli.audit
import ops.cli.batches
import ops.cli.failed
import ops.cli.jobs
import ops.cli.queue
import ops.cli.schedules  # noqa: F401
import workers.__main__
import workers.relay.__main__  # noqa: F401

assert threading.active_count() == 1, "a process that has threads must not be forked"
gc.collect()
gc.freeze()  # A collection in a fork would copy the pages of all that is shared.
