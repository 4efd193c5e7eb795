"""`python -m ops.dev.stack.reload COMMAND…`: run a command, and restart it cleanly when the product's source changes.

For development only. A change that cannot be read, as one with a syntax error, restarts nothing: it is told, what runs
goes on with the source that it has, and the next change is waited for.
"""

import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from watchfiles import watch

from ops.dev.stack.home import CHECKOUT

_FOLDERS = ("api", "consumers", "mail_templates", "moneyflow", "workers")
#: A process that ends by itself so soon after a change ended because of it.
_SETTLED_SECONDS = 20.0
#: What a worker takes at most to finish what it holds, when its settings are not ours to know.
STOP_SECONDS = 60.0
_POLL_SECONDS = 0.1


class Changes:
    """What changed in the product's source and is not taken up yet; watched from a thread of its own."""

    def __init__(self, checkout: Path = CHECKOUT) -> None:
        self._folders = [checkout / name for name in _FOLDERS]
        self._found: queue.SimpleQueue[set[Path]] = queue.SimpleQueue()
        self._waiting: set[Path] = set()
        threading.Thread(target=self._watch, name="changes", daemon=True).start()

    def to_take_up(self) -> set[Path]:
        """Return the files that changed, once all of them can be read; until then, or when none did, an empty set."""
        if self._found.empty():
            return set()
        while not self._found.empty():
            self._waiting |= self._found.get()
        problems = sorted(filter(None, map(problem, self._waiting)))
        if problems:
            say("not reloaded: " + "; ".join(problems) + ". Mend it; what runs goes on with the source that it has.")
            return set()
        taken, self._waiting = self._waiting, set()
        return taken

    def _watch(self) -> None:
        for found in watch(*self._folders, watch_filter=lambda _, path: Path(path).suffix in _READERS, step=100):
            self._found.put({Path(path) for _, path in found})


def problem(file: Path) -> str | None:
    """Say why a source file cannot be read; None when it can, or is gone."""
    try:
        _READERS[file.suffix](file)
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - whatever a parser raises says that the file is no good
        return f"{file}: {error}"
    return None


def _read_python(file: Path) -> None:
    compile(file.read_bytes(), file.name, "exec", dont_inherit=True)


def _read_template(file: Path) -> None:
    import jinja2  # noqa: PLC0415 - only where a template changes

    jinja2.Environment(autoescape=True).parse(file.read_text(encoding="utf-8"), filename=file.name)


def _read_queries(file: Path) -> None:
    from moneyflow.platform.queries import load_queries  # noqa: PLC0415 - only where a query changes

    load_queries(file)


_READERS: Mapping[str, Callable[[Path], None]] = {
    ".py": _read_python,
    ".jinja": _read_template,
    ".sql": _read_queries,
}


class Reloaded:
    """A command that runs, and runs anew with each change."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
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
            if code is not None and not self._waits_for_a_mended_source(code):
                return code if code >= 0 else 128 - code
            changed = self._changes.to_take_up()
            if changed:
                say(f"reloading: {told(changed)}")
                self._stop()
                self._reloaded_at = time.monotonic()
                self._start()
        return self._stop()

    def _waits_for_a_mended_source(self, code: int) -> bool:
        """Say whether it ended because of a change, and the next change is to be waited for."""
        if code == 0 or self._reloaded_at is None or time.monotonic() - self._reloaded_at > _SETTLED_SECONDS:
            return False
        self._process = None
        say(f"ended with {code} right after the reload; its reason stands above. It starts again with the next change.")
        return True

    def _start(self) -> None:
        self._process = subprocess.Popen(self._command)

    def _stop(self) -> int:
        """Ask it to end, as a deployment would, and wait until it has."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return code if code >= 0 else 128 - code


def told(files: Iterable[Path]) -> str:
    """Name files as somebody in the checkout does."""
    return ", ".join(sorted(str(file.relative_to(CHECKOUT)) for file in files))


def say(text: str) -> None:
    """Tell the developer, in the log of the process."""
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, flush=True)


def main() -> int:
    """Run the command of the arguments."""
    if len(sys.argv) == 1:
        sys.stderr.write("usage: python -m ops.dev.stack.reload COMMAND…\n")
        return 2
    return Reloaded(sys.argv[1:]).run()


if __name__ == "__main__":
    sys.exit(main())
