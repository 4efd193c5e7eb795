"""How gunicorn serves the API: `gunicorn --config python:api.server`."""

import os
import shutil
import tempfile

# Before anything imports prometheus_client, which decides by this name how it keeps its values.
_DIRECTORY = os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="money-flow-api-"))

from typing import Any  # noqa: E402

from prometheus_client import multiprocess  # noqa: E402

from moneyflow.telemetry.start import load_settings  # noqa: E402

_settings = load_settings()

wsgi_app = f"api.app:wsgi({_DIRECTORY!r})"
bind = f"{_settings.bind_host}:{_settings.app_port}"
worker_class = "gthread"
workers = _settings.api_processes
threads = _settings.api_threads
http_parser = "fast"
keepalive = 15
timeout = 60
graceful_timeout = 25
#: Our own log tells of every request; gunicorn's tells of itself, on stderr.
accesslog = None
loglevel = "warning"
control_socket_disable = True


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the gauges of a process that is gone."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Leave no metrics behind."""
    shutil.rmtree(_DIRECTORY, ignore_errors=True)
