"""The settings of each process and command: the sections that it inherits are all that it loads.

A process begins with `begin("worker", WorkerSettings)`; a command calls `load(CliSettings)`. Each process has users of
its own in Postgres, RabbitMQ and Kafka: POSTGRES_<ROLE>_USER and POSTGRES_<ROLE>_PASSWORD, RABBITMQ_<LOGIN>_…,
KAFKA_<LOGIN>_…. It loads those of its `postgres_roles`, `rabbitmq_logins` and `kafka_logins` alone, and is given no
others by `docker-compose.yml` and by the supervisor of `ops/dev/stack`.

Import `load` from here: this module imports every section, so that a name of another process is a known one.
"""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from moneyflow.accounts.settings import AccountSettings
from moneyflow.audit.settings import AuditCheckpointSettings
from moneyflow.gateways.crm.settings import CrmSettings
from moneyflow.gateways.mail.settings import MailCatcherSettings, MailSettings
from moneyflow.gateways.payments.settings import PaymentSettings, PaymentWebhookSettings
from moneyflow.gateways.storage.settings import StorageSettings
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.settings import (
    KafkaSettings,
    NotifierSettings,
    PostgresSettings,
    ProcessSettings,
    RabbitmqSettings,
    RetentionSettings,
    load,
)

__all__ = [
    "CONSUMER_SETTINGS",
    "SINKS",
    "AllSettings",
    "AnalyticsSettings",
    "ApiSettings",
    "AuditCheckpointCommandSettings",
    "AuditReadSettings",
    "AuditVerifySettings",
    "CliSettings",
    "ConsumerSettings",
    "CrmConsumerSettings",
    "CrmReadSettings",
    "KafkaUsersSettings",
    "MigrateSettings",
    "RelaySettings",
    "StatusSettings",
    "UserSettings",
    "WorkerSettings",
    "load",
    "load_all",
]


#: The sinks, each with a role in Postgres and a user of Kafka of its name.
SINKS = (
    "audit",
    "analytics",
    "crm",
    "daily_sign_ups",
)


_ORIGIN = Pattern(r"https?://([a-z0-9.-]{1,253}|\[[0-9a-f:]{2,45}\])(:[0-9]{1,5})?", longest=275)


def _separated(value: object) -> object:
    """Split a list in the environment at its commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Check that each is an exact origin, as browsers send it."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"{origin!r} is no origin; give scheme, host and port alone, such as https://app.example.com"
            )
    return origins


class ApiSettings(ProcessSettings, NotifierSettings, AccountSettings, PaymentWebhookSettings, StorageSettings):
    """The API: its port, processes and threads; it verifies the webhooks about payments, and charges nothing."""

    postgres_roles: ClassVar[tuple[str, ...]] = ("app",)

    app_port: int = Field(default=9999, ge=1, le=65535)
    api_metrics_port: int = Field(default=9190, ge=1, le=65535)
    api_processes: int = Field(default=2, ge=1, le=64)
    api_threads: int = Field(default=8, ge=1, le=256)
    #: Multiplies every rate limit, such as for a load test of one machine.
    api_limits_factor: float = Field(default=1.0, gt=0, le=1e6)
    #: The networks of the proxies that may say who the client is; nginx's, where it runs.
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_separated)] = ()
    #: The exact origins of the frontends whose scripts may call the API from another origin.
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(_separated), AfterValidator(_origins)] = ()


class WorkerSettings(
    ProcessSettings,
    NotifierSettings,
    RabbitmqSettings,
    MailSettings,
    AccountSettings,
    PaymentSettings,
    RetentionSettings,
    StorageSettings,
    AuditCheckpointSettings,
):
    """A worker: its threads and lease; all that it inherits besides is for its handlers."""

    postgres_roles: ClassVar[tuple[str, ...]] = ("worker",)
    rabbitmq_logins: ClassVar[tuple[str, ...]] = ("worker",)

    worker_threads: int = Field(default=4, ge=1, le=64)
    worker_lease_seconds: float = Field(default=15, ge=1, le=3600)
    worker_shutdown_seconds: float = Field(default=25, ge=1, le=3600)
    worker_ready_list: bool = True
    worker_metrics_port: int = Field(default=9191, ge=1, le=65535)


class RelaySettings(ProcessSettings, NotifierSettings, RabbitmqSettings, KafkaSettings):
    """The relay: everything that it publishes to, and no secret of the application."""

    postgres_roles: ClassVar[tuple[str, ...]] = ("relay",)
    rabbitmq_logins: ClassVar[tuple[str, ...]] = ("relay",)
    kafka_logins: ClassVar[tuple[str, ...]] = ("relay",)

    relay_metrics_port: int = Field(default=9192, ge=1, le=65535)


class ConsumerSettings(ProcessSettings, PostgresSettings, KafkaSettings):
    """A consumer; its sink's logins are known when it begins: `begin("consumer", ConsumerSettings, roles=(…,))`."""

    consumer_metrics_port: int = Field(default=9193, ge=1, le=65535)


class CrmConsumerSettings(ConsumerSettings, CrmSettings):
    """The consumer of the sink `crm`, which also sends to the CRM."""


#: The settings of the consumers that do more than write, by their sinks.
CONSUMER_SETTINGS: Mapping[str, type[ConsumerSettings]] = {"crm": CrmConsumerSettings}


class MigrateSettings(ProcessSettings, PostgresSettings, RabbitmqSettings, KafkaSettings):
    """Migrations: the schema's owner, the users that declare queues and topics, and the names that get rights."""

    postgres_roles: ClassVar[tuple[str, ...]] = ("owner",)
    postgres_grantees: ClassVar[tuple[str, ...]] = ("app", "worker", "relay", "operator", *SINKS, "audit_owner")
    rabbitmq_logins: ClassVar[tuple[str, ...]] = ("migrate",)
    kafka_logins: ClassVar[tuple[str, ...]] = ("migrate",)
    kafka_grantees: ClassVar[tuple[str, ...]] = ("relay", "operator", *SINKS)


class KafkaUsersSettings(KafkaSettings):
    """The set-up of Kafka's users, before each migration: it sets the passwords of all of them."""

    kafka_logins: ClassVar[tuple[str, ...]] = ("migrate", "relay", "operator", *SINKS)


class CliSettings(NotifierSettings, RabbitmqSettings):
    """Operators' commands on jobs: Postgres and RabbitMQ as the operator, and the notifications."""

    postgres_roles: ClassVar[tuple[str, ...]] = ("operator",)
    rabbitmq_logins: ClassVar[tuple[str, ...]] = ("operator",)


class StatusSettings(CliSettings, KafkaSettings):
    """The operators' view of every server and process: what the commands on jobs need, and Kafka."""

    kafka_logins: ClassVar[tuple[str, ...]] = ("operator",)


class UserSettings(NotifierSettings):
    """The command that makes administrators: Postgres as the API, because the operator sees no person."""

    postgres_roles: ClassVar[tuple[str, ...]] = ("app",)


class AuditReadSettings(PostgresSettings):
    """The commands that search and export the audit log: Postgres as the audit role, and nothing else."""

    postgres_roles: ClassVar[tuple[str, ...]] = ("audit",)


class AuditVerifySettings(AuditReadSettings, StorageSettings, AuditCheckpointSettings):
    """The verification of the audit log: its rows, and the checkpoints with the key that signs them."""


class AuditCheckpointCommandSettings(PostgresSettings, StorageSettings, AuditCheckpointSettings):
    """The command that takes a checkpoint: Postgres as the operator, who reads the heads alone."""

    postgres_roles: ClassVar[tuple[str, ...]] = ("operator",)


class AnalyticsSettings(PostgresSettings):
    """The rebuild of analytics: Postgres as the role of its sink, and nothing else."""

    postgres_roles: ClassVar[tuple[str, ...]] = ("analytics",)


class CrmReadSettings(PostgresSettings, CrmSettings):
    """The comparison of the CRM with us: Postgres as the CRM's sink, which alone sees both."""

    postgres_roles: ClassVar[tuple[str, ...]] = ("crm",)


class AllSettings(
    ApiSettings, WorkerSettings, RelaySettings, CrmConsumerSettings, MigrateSettings, MailCatcherSettings
):
    """Every section and login, for tests and developers' tools; no process loads it."""

    postgres_roles: ClassVar[tuple[str, ...]] = ("app", "worker", "relay", "operator", *SINKS, "owner")
    postgres_grantees: ClassVar[tuple[str, ...]] = ("audit_owner",)
    rabbitmq_logins: ClassVar[tuple[str, ...]] = ("operator", "migrate", "relay", "worker")
    kafka_logins: ClassVar[tuple[str, ...]] = ("migrate", "relay", "operator", *SINKS)


def load_all(
    environment: Mapping[str, str] | None = None, dotenv: Path | None = None, *, whole: bool = False
) -> AllSettings:
    """Load every section, for tests and tools that see the whole `.env`; with `whole` equal secrets are found too.

    Raises:
        ConfigurationError: with every problem, one per line.
    """
    return load(AllSettings, environment, dotenv, whole=whole)
