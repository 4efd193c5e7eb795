"""`python -m ops.dev.stack.reload COMMAND…`: run a command, and restart it cleanly when the product's source changes.

For development only. A change that cannot be read, such as a syntax error, restarts nothing: it is logged, the process
continues with its old source, and the next change is awaited. The port of the API stays open: this process listens on
it, and the API's next process is ready before the one before it stops.
"""

import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from watchfiles import watch

from moneyflow.platform.http.drain import drain
from moneyflow.platform.telemetry.start import load_or_exit
from moneyflow.settings import ApiSettings
from ops.dev.stack.home import CHECKOUT
from ops.dev.stack.listening import Readiness, bound_to, listen

#: The name of the files of what several queries share.
_FRAGMENTS = "fragments.sql"
_FOLDERS = ("api", "consumers", "mail_templates", "moneyflow", "workers")
#: Seconds after a reload within which an end counts as caused by the change.
_SETTLED_SECONDS = 20.0
#: Seconds that a process has to finish its work; more than the default of a worker.
STOP_SECONDS = 60.0
_POLL_SECONDS = 0.1


class Changes:
    """Changes of the product's source that are not reloaded yet; a thread watches for them."""

    def __init__(self, checkout: Path = CHECKOUT) -> None:
        self._folders = [checkout / name for name in _FOLDERS]
        self._found: queue.SimpleQueue[set[Path]] = queue.SimpleQueue()
        self._waiting: set[Path] = set()
        threading.Thread(target=self._watch, name="changes", daemon=True).start()

    def to_take_up(self) -> set[Path]:
        """Return the changed files once all of them can be read; until then, and without changes, an empty set."""
        if self._found.empty():
            return set()
        while not self._found.empty():
            self._waiting |= self._found.get()
        problems = sorted(filter(None, map(problem, self._waiting)))
        if problems:
            log("not reloaded: " + "; ".join(problems) + ". Correct it; the process continues with its old source.")
            return set()
        taken, self._waiting = self._waiting, set()
        return taken

    def _watch(self) -> None:
        for found in watch(*self._folders, watch_filter=lambda _, path: Path(path).suffix in _READERS, step=100):
            self._found.put({Path(path) for _, path in found})


def problem(file: Path) -> str | None:
    """Return why a source file cannot be read; None when it can, or was deleted."""
    try:
        _READERS[file.suffix](file)
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - every exception of a parser means that the file is invalid
        return f"{file}: {error}"
    return None


def _read_python(file: Path) -> None:
    compile(file.read_bytes(), file.name, "exec", dont_inherit=True)


def _read_template(file: Path) -> None:
    import jinja2  # noqa: PLC0415 - only where a template changes

    jinja2.Environment(autoescape=True).parse(file.read_text(encoding="utf-8"), filename=file.name)


def _read_queries(file: Path) -> None:
    from moneyflow.platform.queries import load_fragments, load_queries  # noqa: PLC0415 - only where a query changes

    if file.name == _FRAGMENTS:
        load_fragments(file)
    else:
        load_queries(file, fragments=(CHECKOUT / "moneyflow").rglob(_FRAGMENTS))


_READERS: Mapping[str, Callable[[Path], None]] = {
    ".py": _read_python,
    ".jinja": _read_template,
    ".sql": _read_queries,
}


class Reloaded:
    """A command that is restarted with each change; with a listener, one that serves this socket."""

    def __init__(self, command: list[str], listener: socket.socket | None = None) -> None:
        self._command = command
        self._listener = listener
        self._changes = Changes()
        self._stopping = threading.Event()
        self._reloaded_at: float | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Run until it ends by itself or is asked to stop, and return its exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        self._start()
        while not self._stopping.wait(_POLL_SECONDS):
            code = self._process.poll() if self._process else None
            if code is not None and not self._waits_for_a_change(code):
                return code if code >= 0 else 128 - code
            changed = self._changes.to_take_up()
            if changed:
                log(f"reloading: {shown(changed)}")
                self._reload()
        if self._listener:
            drain([self._listener])
        return self._stop()

    def _waits_for_a_change(self, code: int) -> bool:
        """Return whether the command ended because of a change, so that the next change starts it again."""
        if code == 0 or self._reloaded_at is None or time.monotonic() - self._reloaded_at > _SETTLED_SECONDS:
            return False
        self._process = None
        log(f"ended with {code} right after the reload; the reason is above. It starts again with the next change.")
        return True

    def _reload(self) -> None:
        if self._listener and self._process:
            self._replace(self._process)
            return
        self._stop()
        self._reloaded_at = time.monotonic()
        self._start()

    def _replace(self, old: "subprocess.Popen[bytes]") -> None:
        """Start the next process, and stop the one before it once the next one is ready."""
        with tempfile.TemporaryDirectory() as folder:
            readiness = Readiness(Path(folder) / "ready")
            self._start(readiness.environment)
            new, until = self._process, time.monotonic() + STOP_SECONDS
            assert new
            while not (ready := readiness.has_come()) and new.poll() is None and time.monotonic() < until:
                if self._stopping.wait(_POLL_SECONDS):
                    break
            readiness.close()
        if ready:
            self._process = old
            self._stop()
            self._process = new
            return
        log("the new process was not ready; the reason is above. The process continues with its old source.")
        self._stop()
        self._process = old

    def _start(self, environment: Mapping[str, str] | None = None) -> None:
        inherited = (self._listener.fileno(),) if self._listener else ()
        bound = bound_to(self._listener) if self._listener else ()
        self._process = subprocess.Popen(
            [*self._command, *bound], env={**os.environ, **(environment or {})}, pass_fds=inherited
        )

    def _stop(self) -> int:
        """Stop the command as a deployment does, and wait for its end."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return code if code >= 0 else 128 - code


def shown(files: Iterable[Path]) -> str:
    """Return the files' paths in the checkout, as one text."""
    return ", ".join(sorted(str(file.relative_to(CHECKOUT)) for file in files))


def log(text: str) -> None:
    """Print a line with the time, into the log of the process."""
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, flush=True)


def main() -> int:
    """Run the command of the arguments."""
    if len(sys.argv) == 1:
        sys.stderr.write("usage: python -m ops.dev.stack.reload COMMAND…\n")
        return 2
    return Reloaded(sys.argv[1:], _listener_of(sys.argv[1:])).run()


def _listener_of(command: list[str]) -> socket.socket | None:
    """Return the API's socket when the command is the API."""
    if "gunicorn" not in {Path(part).name for part in command}:
        return None
    settings = load_or_exit(ApiSettings)
    return listen(settings.bind_host, settings.app_port)


if __name__ == "__main__":
    sys.exit(main())
