"""`python -m ops.check_settings`: check the settings of every process, and that no two secrets are equal.

Run where the whole `.env` is given, and before anything starts; a process has its own settings, and cannot compare.
"""

import sys

from moneyflow.platform.telemetry.start import load_or_exit
from moneyflow.settings import AllSettings


def main() -> int:
    """Return 0 when all settings are valid; else exit with 2 and every problem on standard error."""
    load_or_exit(AllSettings, whole=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
