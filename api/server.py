"""gunicorn configuration of the API: `gunicorn --config python:api.server`."""

import os
import shutil
import socket
import sys
import tempfile
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

from moneyflow.platform.http.drain import drain_before_stop  # noqa: E402
from moneyflow.platform.settings import host_port  # noqa: E402
from moneyflow.platform.telemetry.multiprocess import fold  # noqa: E402
from moneyflow.platform.telemetry.start import listening, load_or_exit, or_exit  # noqa: E402
from moneyflow.settings import ApiSettings  # noqa: E402

_settings = load_or_exit(ApiSettings)


def _check_port() -> None:
    """Exit with one line when another process has the port, which gunicorn would try for five seconds.

    Not when gunicorn inherits its socket. SO_REUSEPORT lets through what listens with that option too.
    """
    if {"GUNICORN_FD", "LISTEN_FDS"} & os.environ.keys() or any(one.startswith("fd://") for one in sys.argv):
        return
    family = socket.AF_INET6 if ":" in _settings.bind_host else socket.AF_INET
    with socket.socket(family) as probe, listening("APP_PORT", host=_settings.bind_host, port=_settings.app_port):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        probe.bind((_settings.bind_host, _settings.app_port))


or_exit(_check_port)

wsgi_app = f"api.app:wsgi({_DIRECTORY!r})"
bind = host_port(_settings.bind_host, _settings.app_port)
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


def when_ready(server: Any) -> None:
    """Drain the sockets before they close."""
    drain_before_stop(server)


def post_worker_init(worker: Any) -> None:
    """Notify the service manager, if there is one, that a process has loaded the application and takes requests."""
    sd_notify("READY=1\nSTATUS=the application is loaded", worker.log)


def child_exit(_server: Any, worker: Any) -> None:
    """Keep the counts of a process that has ended, and delete its files."""
    fold(Path(_DIRECTORY), worker.pid)


def on_exit(_server: Any) -> None:
    """Delete the folder of the metrics."""
    shutil.rmtree(_DIRECTORY, ignore_errors=True)
