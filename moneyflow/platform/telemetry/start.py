"""How every process begins: its settings, or one clear message and the end; then its log and its name."""

import sys

from moneyflow.platform import settings as settings_module
from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.settings import Settings
from moneyflow.platform.telemetry import origin
from moneyflow.platform.telemetry.logs import configure_logging


def load_settings() -> Settings:
    """Return the settings; a wrong configuration ends the process with 2 and every problem on standard error."""
    try:
        return settings_module.load()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


def begin(process: str) -> Settings:
    """Return the settings of a process that logs under this name from now on, as its events do."""
    settings = load_settings()
    configure_logging(process, level=settings.log_level)
    origin.set_process(process)
    return settings
