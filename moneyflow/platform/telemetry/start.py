"""Process start: load the settings or exit with one clear message; then set up the log and the process's name."""

import sys
from typing import TypeVar

from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.settings import ProcessSettings, load
from moneyflow.platform.settings.section import SectionT
from moneyflow.platform.telemetry import origin
from moneyflow.platform.telemetry.logs import configure_logging

P = TypeVar("P", bound=ProcessSettings)


def load_or_exit(kind: type[SectionT], *, roles: tuple[str, ...] = ()) -> SectionT:
    """Return a process's settings; an invalid configuration exits with 2 and every problem on standard error."""
    try:
        return load(kind, roles=roles)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


def begin(process: str, kind: type[P], *, roles: tuple[str, ...] = ()) -> P:
    """Return the settings of a process; from now on it logs and emits events under this name.

    `roles` are the Postgres roles that the process needs beyond those of its settings.
    """
    settings = load_or_exit(kind, roles=roles)
    configure_logging(process, level=settings.log_level)
    origin.set_process(process)
    return settings
