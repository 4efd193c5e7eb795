"""Process start: load the settings or exit with one clear message; then set up the log and the process's name."""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.settings import ProcessSettings, load
from moneyflow.platform.settings.section import SectionT
from moneyflow.platform.telemetry import origin
from moneyflow.platform.telemetry.logs import configure_logging

P = TypeVar("P", bound=ProcessSettings)
T = TypeVar("T")


#: The exit code of a process that Ctrl-C ended.
INTERRUPTED = 130


def run(main: Callable[[], int]) -> NoReturn:
    """Run the main function of a process and exit with its code; Ctrl-C and a taken port end it with one line."""
    try:
        sys.exit(or_exit(main))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)


def or_exit(act: Callable[[], T]) -> T:
    """Return what a step of the start returns; an invalid configuration exits with 2 and one message."""
    try:
        return act()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


@contextmanager
def listening(setting: str, *, host: str, port: int) -> Iterator[None]:
    """Name the setting of a port on which the block cannot listen, because another process does.

    Raises:
        ConfigurationError: the port is taken.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ConfigurationError(
            f"port {port} of {host} is taken by another process; end that process, or set {setting} to another port"
        ) from error


def load_or_exit(kind: type[SectionT], *, roles: tuple[str, ...] = (), whole: bool = False) -> SectionT:
    """Return a process's settings; an invalid configuration exits with 2 and every problem on standard error."""
    return or_exit(lambda: load(kind, roles=roles, whole=whole))


def begin(process: str, kind: type[P], *, roles: tuple[str, ...] = (), whole: bool = False) -> P:
    """Return the settings of a process; from now on it logs and emits events under this name.

    `roles` are the Postgres roles that the process needs beyond those of its settings. With `whole` BUILD_ENV=prod
    checks the secrets of every process.
    """
    settings = load_or_exit(kind, roles=roles, whole=whole)
    configure_logging(process, level=settings.log_level)
    origin.set_process(process)
    return settings
