"""What the processes of tests import, imported once; see `tests.support.forks`. The jobs of tests are not among it."""

import gc
import threading
from contextlib import suppress

import falcon  # noqa: F401 - of the API, and so below
import gunicorn.app.wsgiapp  # type: ignore[import-untyped] # noqa: F401
import stripe  # noqa: F401

import consumers.__main__  # noqa: F401 - see above, and so below
import ops.cli.audit
import ops.cli.batches
import ops.cli.failed
import ops.cli.jobs
import ops.cli.queue
import ops.cli.schedules  # noqa: F401
import workers.__main__
import workers.relay.__main__  # noqa: F401
from moneyflow.platform.errors import ConfigurationError
from moneyflow.settings import load_all

with suppress(ConfigurationError):
    load_all()  # The names in the environment are compared with those of settings once, and not in each fork.
assert threading.active_count() == 1, "a process that has threads must not be forked"
gc.collect()
gc.freeze()  # A collection in a fork would copy the pages of all that is shared.
