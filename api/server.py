"""gunicorn configuration of the API: `gunicorn --config python:api.server`."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

_PREFIX = "money-flow-api-"


def _fresh_directory() -> str:
    """Return a folder for the metrics of this master's processes; delete the folders of masters that were killed."""
    for old in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = old.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(old, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")


# Before any import of prometheus_client, which reads this name once and keeps its values in that folder.
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = _fresh_directory()
_DIRECTORY = os.environ["PROMETHEUS_MULTIPROC_DIR"]

from typing import Any  # noqa: E402

from prometheus_client import multiprocess  # noqa: E402

from moneyflow.platform.telemetry.start import listening, load_or_exit, or_exit  # noqa: E402
from moneyflow.settings import ApiSettings  # noqa: E402

_settings = load_or_exit(ApiSettings)


def _check_port() -> None:
    """Exit with one line when another process has the port, which gunicorn would try for five seconds.

    Not when gunicorn inherits its socket. SO_REUSEPORT lets through what listens with that option too.
    """
    if {"GUNICORN_FD", "LISTEN_FDS"} & os.environ.keys():
        return
    family = socket.AF_INET6 if ":" in _settings.bind_host else socket.AF_INET
    with socket.socket(family) as probe, listening("APP_PORT", host=_settings.bind_host, port=_settings.app_port):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        probe.bind((_settings.bind_host, _settings.app_port))


or_exit(_check_port)

wsgi_app = f"api.app:wsgi({_DIRECTORY!r})"
bind = f"{_settings.bind_host}:{_settings.app_port}"
worker_class = "gthread"
workers = _settings.api_processes
threads = _settings.api_threads
http_parser = "fast"
keepalive = 15
timeout = 60
graceful_timeout = 25
#: `api.access` logs every request; gunicorn logs its own warnings on stderr.
accesslog = None
loglevel = "warning"
control_socket_disable = True


def child_exit(_server: Any, worker: Any) -> None:
    """Drop the gauges of a process that has ended."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Delete the folder of the metrics."""
    shutil.rmtree(_DIRECTORY, ignore_errors=True)
