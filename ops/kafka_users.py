"""`python -m ops.kafka_users`: create Kafka's users and set their passwords; run before a migration, safe to repeat.

The user `migrate` itself is made when Kafka's storage is formatted. What each user may do is granted by the migration.
"""

import asyncio
import sys

import structlog

from moneyflow.platform.brokers.kafka_rights import set_passwords
from moneyflow.platform.telemetry.logs import configure_logging
from moneyflow.platform.telemetry.start import load_or_exit
from moneyflow.settings import KafkaUsersSettings

log = structlog.get_logger(__name__)


def create_users(settings: KafkaUsersSettings) -> list[str]:
    """Create the users or set their passwords, and return their names."""
    logins = [login for login in KafkaUsersSettings.kafka_logins if login != "migrate"]
    passwords = dict(settings.kafka_login(login) for login in logins)
    asyncio.run(set_passwords(settings, passwords))
    return sorted(passwords)


def main() -> int:
    """Create the users; return 0 when all were."""
    settings = load_or_exit(KafkaUsersSettings)
    configure_logging("kafka-users", level="info")
    log.info("kafka_users_created", users=create_users(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
