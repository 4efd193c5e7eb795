"""The settings: read once from the environment or `.env`, every problem reported at once.

Nothing else in the code reads the environment. `.env.example` lists every name; a test holds the two equal.
"""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values
from psycopg.conninfo import make_conninfo
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.suggestions import nearest

#: Names that only `docker-compose.yml` reads: addresses on its network and the logins of tools beside the application.
COMPOSE_ONLY = frozenset(
    {
        "POSTGRES_IP", "KAFKA_IP", "REDIS_IP", "KAFKA_CONTROLLER_PORT", "KAFKA_BROKER_ID", "KAFKA_CLUSTER_ID",
        "KAFKA_UI_IP", "KAFKA_UI_PORT", "KAFKA_UI_CLUSTER_NAME", "KAFKA_UI_USER", "KAFKA_UI_PASSWORD",
        "GRAFANA_USER", "GRAFANA_PASSWORD", "PGADMIN_IP", "PGADMIN_PORT", "PGADMIN_DEFAULT_EMAIL",
        "PGADMIN_DEFAULT_PASSWORD", "POSTGRES_SUPERUSER_PASSWORD", "CONSOLE_PORT", "RABBITMQ_MANAGEMENT_PORT",
        "DEVNET_PREFIX", "MAIL_CATCHER_PORT", "MAIL_CATCHER_SMTP_PORT", "COMPOSE_PROFILES",
    }
)  # fmt: skip

_CHANGE_ME = "change-me"
#: A mail server may ask for no login.
_MAY_BE_EMPTY = frozenset({"mail_password"})


class Settings(BaseSettings):
    """Every setting of every process, by its environment name in lower case."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, case_sensitive=False)

    # The application
    build_env: Literal["dev", "prod"] = "dev"
    app_port: int = Field(default=9999, ge=1, le=65535)
    app_url: str = "https://localhost"
    secret_key: SecretStr = Field(default=..., min_length=32)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    api_threads: int = Field(default=8, ge=1, le=256)
    api_processes: int = Field(default=2, ge=1, le=64)
    worker_threads: int = Field(default=4, ge=1, le=64)
    worker_lease_seconds: float = Field(default=15, ge=1, le=3600)
    worker_shutdown_seconds: float = Field(default=25, ge=1, le=3600)
    worker_ready_list: bool = True
    jobs_kept_days: int = Field(default=7, ge=1, le=36500)
    jobs_discarded_kept_days: int = Field(default=30, ge=1, le=36500)
    bind_host: str = "0.0.0.0"  # noqa: S104 - inside a container; the stack on a bare machine sets 127.0.0.1
    worker_metrics_port: int = Field(default=9191, ge=1, le=65535)
    relay_metrics_port: int = Field(default=9192, ge=1, le=65535)
    consumer_metrics_port: int = Field(default=9193, ge=1, le=65535)

    # PostgreSQL
    postgres_host: str = "localhost"
    postgres_port: int = Field(default=5432, ge=1, le=65535)
    postgres_db: str = "money_flow"
    postgres_user: str = "app"
    postgres_password: SecretStr = SecretStr(_CHANGE_ME)
    postgres_owner_user: str = "owner"
    postgres_owner_password: SecretStr = SecretStr(_CHANGE_ME)
    postgres_relay_user: str = "relay"
    postgres_relay_password: SecretStr = SecretStr(_CHANGE_ME)
    postgres_audit_user: str = "audit"
    postgres_audit_password: SecretStr = SecretStr(_CHANGE_ME)

    # RabbitMQ
    rabbitmq_host: str = "localhost"
    rabbitmq_port: int = Field(default=5672, ge=1, le=65535)
    rabbitmq_user: str = "app"
    rabbitmq_password: SecretStr = SecretStr(_CHANGE_ME)
    rabbitmq_vhost: str = "money_flow"

    # Kafka
    kafka_host: str = "localhost"
    kafka_port: int = Field(default=9092, ge=1, le=65535)
    kafka_num_partitions: int = Field(default=3, ge=1, le=1000)
    kafka_log_retention_hours: int = Field(default=168, ge=1)
    kafka_topic_prefix: str = Field(default="", pattern=r"^[a-zA-Z0-9._-]*$")

    # Redis
    redis_host: str = "localhost"
    redis_port: int = Field(default=6379, ge=1, le=65535)
    redis_user: str = "app"
    redis_password: SecretStr = SecretStr(_CHANGE_ME)
    redis_db: int = Field(default=0, ge=0)

    # Mail
    mail_mailer: Literal["smtp"] = "smtp"
    mail_host: str = "localhost"
    mail_port: int = Field(default=2525, ge=1, le=65535)
    mail_username: str = ""
    mail_password: SecretStr = SecretStr("")
    mail_encryption: Literal["none", "starttls", "tls"] = "none"
    mail_from_address: str = "no-reply@money-flow.example"
    mail_from_name: str = "Money Flow"
    mail_catcher_url: str = ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the names are pydantic-settings's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the values from the mapping that `load` hands over, and from nowhere else."""
        return (init_settings,)

    @cached_property
    def kafka_bootstrap(self) -> str:
        """Kafka's address as host:port."""
        return f"{self.kafka_host}:{self.kafka_port}"

    def conninfo(self, role: Literal["app", "owner", "relay", "audit"], *, application_name: str) -> str:
        """Return libpq's connection string for one of the four roles."""
        prefix = "postgres" if role == "app" else f"postgres_{role}"
        password: SecretStr = getattr(self, f"{prefix}_password")
        return make_conninfo(
            host=self.postgres_host,
            port=self.postgres_port,
            dbname=self.postgres_db,
            user=getattr(self, f"{prefix}_user"),
            password=password.get_secret_value(),
            application_name=application_name,
            connect_timeout=5,
            # A server whose machine vanished says nothing: without these, whoever waits for it waits for hours.
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=20_000,
        )


def load(environment: Mapping[str, str] | None = None, dotenv: Path | None = None) -> Settings:
    """Read the settings from the environment over `.env`; of an `environment` that is given, over `dotenv` if any.

    Raises:
        ConfigurationError: with every problem, one a line, each naming the variable and what to do.
    """
    file = Path(".env") if environment is None and dotenv is None else dotenv
    file_values = {name: value or "" for name, value in dotenv_values(file).items()} if file else {}
    real = dict(os.environ if environment is None else environment)
    problems = _unknown_names(file_values, real)
    values = {k.lower(): v for k, v in {**file_values, **real}.items() if k in known_names()}
    try:
        settings = Settings(**values)  # type: ignore[arg-type] # pydantic turns the texts into their types
    except ValidationError as error:
        problems += [_told(problem) for problem in error.errors()]
    problems += _weak_secrets(values)
    if problems:
        raise ConfigurationError("the settings do not fit:\n" + "\n".join(f"  - {line}" for line in problems))
    return settings


def known_names() -> frozenset[str]:
    """Return the environment names of all settings that processes read."""
    return frozenset(name.upper() for name in Settings.model_fields)


def _weak_secrets(values: Mapping[str, str]) -> list[str]:
    """Name the secrets that BUILD_ENV=prod refuses, beside whatever else is wrong."""
    if values.get("build_env") != "prod":
        return []
    secrets = {
        name: field.default
        for name, field in Settings.model_fields.items()
        if isinstance(field.default, SecretStr) and name not in _MAY_BE_EMPTY
    }
    given = {name: values.get(name) or default.get_secret_value() for name, default in secrets.items()}
    given["secret_key"] = values.get("secret_key", "set, or missed by itself")
    weak = [name.upper() for name, value in given.items() if value.startswith(_CHANGE_ME)]
    return [f"{', '.join(sorted(weak))}: BUILD_ENV=prod refuses a default secret; set a random one"] if weak else []


def _told(problem: object) -> str:
    assert isinstance(problem, dict)
    name = ".".join(str(part) for part in problem["loc"]).upper()
    if problem["type"] == "missing":
        return f"{name} is not set; add it to the environment or to .env (see .env.example)"
    if problem["type"] == "too_short":
        return f"{name} must have at least {problem['ctx']['min_length']} characters"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name}: {message}" if name else message


def _unknown_names(file_values: Mapping[str, str], real: Mapping[str, str]) -> list[str]:
    """Name what nobody reads: all of it in `.env`, which is ours; in the environment only what is nearly a name."""
    known = known_names() | COMPOSE_ONLY
    problems = []
    for name in sorted((file_values.keys() | real.keys()) - known):
        near = nearest(name, known, cutoff=0.6 if name in file_values else 0.88)
        if near and name not in file_values and near in real:
            continue  # Both are set: the likeness is chance, as with the variables that container images set.
        if near:
            problems.append(f"{name} is unknown; did you mean {near}?")
        elif name in file_values:
            problems.append(f"{name} in .env is unknown; remove it, or see .env.example for the names")
    return problems
