"""gunicorn configuration of the API: `gunicorn --config python:api.server`."""

import os
import shutil
import socket
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

_PREFIX = "money-flow-api-"
_START_TIME_FIELD = 19  # Of /proc/PID/stat, counted after the name; see proc(5).


def _started(pid: str) -> str | None:
    """Return when a process started; None when it has ended. A later process may have the same pid."""
    try:
        stat = Path("/proc", pid, "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[_START_TIME_FIELD]


def _delete_left() -> None:
    """Delete the folders of masters that were killed; where the system has no /proc, which ones is not known."""
    for old in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*") if _started("self") else ():
        pid, _, rest = old.name.removeprefix(_PREFIX).partition("-")
        if _started(pid) != rest.partition("-")[0]:
            shutil.rmtree(old, ignore_errors=True)


def _directory() -> str:
    """Return the folder for the metrics of this master's processes; a master that this one replaces has its own."""
    given, own = os.environ.get("PROMETHEUS_MULTIPROC_DIR"), f"{_PREFIX}{os.getpid()}-"
    if given and not (Path(given).name.startswith(_PREFIX) and not Path(given).name.startswith(own)):
        return given
    _delete_left()
    return tempfile.mkdtemp(prefix=f"{own}{_started('self')}-")


# Before any import of prometheus_client, which reads this name once and keeps its values in that folder.
_DIRECTORY = os.environ["PROMETHEUS_MULTIPROC_DIR"] = _directory()

from typing import Any  # noqa: E402

from gunicorn.systemd import sd_notify  # type: ignore[import-untyped]  # noqa: E402

from api.serving import health  # noqa: E402
from api.serving.uploads import upload_folder  # noqa: E402
from moneyflow.platform.http.drain import drain_before_stop  # noqa: E402
from moneyflow.platform.settings import host_port  # noqa: E402
from moneyflow.platform.telemetry.multiprocess import fold  # noqa: E402
from moneyflow.platform.telemetry.start import listening, load_or_exit, or_exit  # noqa: E402
from moneyflow.settings import ApiSettings  # noqa: E402

_settings = load_or_exit(ApiSettings)


def _check_ports() -> None:
    """Exit with one line when another process has a port, which gunicorn would try for five seconds.

    Not when gunicorn inherits its socket: its predecessor has both. SO_REUSEPORT lets through what listens with that
    option on APP_PORT; on the health port the processes of two APIs would answer for one another.
    """
    if {"GUNICORN_FD", "LISTEN_FDS"} & os.environ.keys() or any(one.startswith("fd://") for one in sys.argv):
        return
    _check_port("APP_PORT", _settings.app_port, shared=True)
    _check_port("API_METRICS_PORT", _settings.api_metrics_port, shared=False)


def _check_port(setting: str, port: int, *, shared: bool) -> None:
    family = socket.AF_INET6 if ":" in _settings.bind_host else socket.AF_INET
    with socket.socket(family) as probe, listening(setting, host=_settings.bind_host, port=port):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        probe.bind((_settings.bind_host, port))


or_exit(_check_ports)

wsgi_app = f"api.app:wsgi({_DIRECTORY!r})"
bind = host_port(_settings.bind_host, _settings.app_port)
worker_class = "api.serving.worker.BufferingWorker"
workers = _settings.api_processes
threads = _settings.api_threads
#: In each process; when there is no room, the longest idle one is closed for the next.
worker_connections = 4096
http_parser = "fast"
# The worker's `BufferedSocket` sends files.
sendfile = True
timeout = 60
graceful_timeout = 25
#: `api.access` logs every request; gunicorn logs its own warnings on stderr.
accesslog = None
loglevel = "warning"
control_socket_disable = True


def when_ready(server: Any) -> None:
    """Drain the sockets before they close."""
    drain_before_stop(server)


def post_worker_init(worker: Any) -> None:
    """Choose the folder of uploads and serve the process's health; then notify the service manager, if there is one."""
    worker.terms = replace(worker.terms, upload_folder=upload_folder(_settings.storage_folder))
    worker.health = health.serve(_settings, alive=worker.complaint, multiprocess_directory=_DIRECTORY)
    sd_notify("READY=1\nSTATUS=the application is loaded", worker.log)


def child_exit(_server: Any, worker: Any) -> None:
    """Keep the counts of a process that has ended, and delete its files."""
    fold(Path(_DIRECTORY), worker.pid)


def on_exit(_server: Any) -> None:
    """Delete the folder of the metrics."""
    shutil.rmtree(_DIRECTORY, ignore_errors=True)
