"""Drawing: a PDF is drawn by a process of its own, for as long as it takes.

Fonts and drawn pages need memory that a process does not give back, and a long drawing would slow down the other jobs
of a worker. The process ends with its file, works at a low priority, and has a bounded time of the processor.
"""

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable

from moneyflow.platform.errors import UnavailableError
from moneyflow.statements.writing.statement import Statement, dumps, loads

#: Seconds of the processor; 10,000 transactions take 15.
_PROCESSOR_SECONDS = 300
#: Seconds between two looks whether the job was cancelled.
_LOOK_SECONDS = 1.0
_NICENESS = 10
#: The exit code of a process that lacks something which an operator can bring.
_UNAVAILABLE = 75


def draw(statement: Statement, *, check: Callable[[], object]) -> bytes:
    """Return the PDF of a statement; `check` is called each second, and may raise.

    Raises:
        UnavailableError: the fonts are not installed.
        RuntimeError: the process failed; it says how.
    """
    command = [sys.executable, "-m", __name__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:  # noqa: S603 - this module
        try:
            content, errors = _communicate(process, dumps(statement), check)
        finally:
            process.kill()
    problem = errors.decode(errors="replace").strip()
    if process.returncode == _UNAVAILABLE:
        raise UnavailableError(problem)
    if process.returncode:
        raise RuntimeError(f"the process that draws ended with {process.returncode}: {problem}")
    return content


def _communicate(process: subprocess.Popen[bytes], text: bytes, check: Callable[[], object]) -> tuple[bytes, bytes]:
    given: bytes | None = text
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(given, timeout=_LOOK_SECONDS)
        given = None  # The library keeps what is not written yet.
        check()


def main() -> int:
    """Draw the statement of the standard input to the standard output."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CPU, (_PROCESSOR_SECONDS, _PROCESSOR_SECONDS))
    from moneyflow.statements.writing import pdf  # noqa: PLC0415 - the worker, which imports this module, draws nothing

    try:
        content = pdf.document(loads(sys.stdin.buffer.read()))
    except UnavailableError as error:
        sys.stderr.write(error.detail)
        return _UNAVAILABLE
    sys.stdout.buffer.write(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
