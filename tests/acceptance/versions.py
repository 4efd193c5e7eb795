"""The versions of the servers that the tests start from packages."""

import re
import subprocess

from ops.dev.stack import packages

_RABBITMQCTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"


def server_versions() -> dict[str, str]:
    """Return the version of each server by its name; they are installed once a test has run."""
    return {
        "postgres": _version(str(packages.postgres_binaries() / "postgres"), "--version"),
        "rabbitmq": _version(_RABBITMQCTL, "version"),
        "redis": _version("redis-server", "--version"),
        "kafka": packages.KAFKA_VERSION,
    }


def _version(*command: str) -> str:
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(\.\d+)+", printed)
    return found[0] if found else printed.strip()
