"""The stack that `make up` has started for this checkout: its settings, when no other servers are named."""

import os
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
#: The settings of the running stack, in the checkout; `make up` writes the file, `make down` removes it.
_ENVIRONMENT = ".stack/environment"
#: What the settings of servers begin with.
_SERVERS = ("POSTGRES_", "RABBITMQ_", "REDIS_", "KAFKA_")


def running_stack(environment: Mapping[str, str], *, checkout: Path = CHECKOUT) -> dict[str, str] | None:
    """Return the settings of the checkout's running stack; None when it does not run, or other servers are named.

    Servers are named in the environment, or in the `.env` of a working folder that is not this checkout. The `.env` of
    this checkout names none: its stack chooses ports and secrets by itself.
    """
    if any(name.startswith(_SERVERS) for name in environment) or (Path.cwd() != checkout and Path(".env").exists()):
        return None
    file = checkout / _ENVIRONMENT
    try:
        # SECURITY: a file of another user would send the operator's acts to that user's servers.
        if file.stat().st_uid != os.geteuid():
            return None
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return dict(line.split("=", 1) for line in lines)


def dotenv() -> Path | None:
    """Return this checkout's `.env`, if it has one."""
    file = CHECKOUT / ".env"
    return file if file.exists() else None
