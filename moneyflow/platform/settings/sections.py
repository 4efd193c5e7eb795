"""The platform's sections: what every process has, its servers, and how long rows are kept."""

from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from psycopg.conninfo import make_conninfo
from pydantic import Field, SecretStr, model_validator

from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.settings.section import CHANGE_ME, Host, Section, host_port, password_field, user_field


class StoreSettings(Section):
    """What the settings of every store have: the certificate authority, and access to the process's logins."""

    ca_file: str = ""

    @model_validator(mode="after")
    def _has_certificate_authority(self) -> Self:
        """Refuse TLS without the certificates that the store's own is checked against."""
        if any(name.endswith("_tls") and getattr(self, name) for name in type(self).model_fields):
            if not self.ca_file:
                raise ValueError(
                    "CA_FILE is not set, and a store is reached by TLS; set it to the file with the certificates of "
                    "your authority, or of all public ones, such as /etc/ssl/certs/ca-certificates.crt"
                )
            if not Path(self.ca_file).is_file():
                raise ValueError(f"CA_FILE: there is no file {self.ca_file}; correct the path")
        return self

    def _login(self, store: str, login: str) -> tuple[str, str]:
        """Return user and password of one of the process's logins."""
        password: SecretStr = self._of_login(store, login, password_field(store, login))
        return str(self._of_login(store, login, user_field(store, login))), password.get_secret_value()

    def _of_login(self, store: str, login: str, field: str) -> SecretStr:
        if field not in type(self).model_fields:
            declared = "postgres_roles" if store == "postgres" else f"{store}_logins"
            raise ConfigurationError(
                f"{field.upper()} is not loaded by this process; add {login!r} to the {declared} of "
                f"{type(self).__name__} in moneyflow/settings.py"
            )
        value: SecretStr = getattr(self, field)
        return value


class ProcessSettings(Section):
    """Basics of a long-running process: its mode, its log, and the address on which it listens."""

    build_env: Literal["dev", "prod"] = "dev"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    bind_host: Host = "0.0.0.0"  # nosec B104  # noqa: S104 - in a container; a stack on a bare machine sets 127.0.0.1
    #: Between two `system.health_check` events of a process; each is a row of the audit log.
    health_check_seconds: float = Field(default=3600, ge=1, le=86_400)


class PostgresSettings(StoreSettings):
    """PostgreSQL: its address; the logins are those of the process's roles."""

    postgres_host: Host = "localhost"
    postgres_port: int = Field(default=5432, ge=1, le=65535)
    postgres_db: str = "money_flow"
    postgres_tls: bool = False

    @property
    def postgres_address(self) -> str:
        """PostgreSQL's address as host:port."""
        return host_port(self.postgres_host, self.postgres_port)

    def user(self, role: str) -> str:
        """Return the user that connects as a role."""
        return str(self._of_login("postgres", role, user_field("postgres", role)))

    def conninfo(self, role: str, *, application_name: str) -> str:
        """Return libpq's connection string for a role of this process.

        Raises:
            ConfigurationError: the process has not declared the role.
        """
        user, password = self._login("postgres", role)
        # Else libpq's own defaults, for compatibility: TLS where the server has it, unchecked.
        tls = {"sslmode": "verify-full", "sslrootcert": self.ca_file} if self.postgres_tls else {}
        return make_conninfo(
            host=self.postgres_host,
            port=self.postgres_port,
            dbname=self.postgres_db,
            user=user,
            password=password,
            application_name=application_name,
            connect_timeout=5,
            # Without keepalives, a connection to a machine that vanished blocks its caller for hours.
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=20_000,
            **tls,
        )


class RabbitmqSettings(StoreSettings):
    """RabbitMQ: its address and virtual host; the logins are those of the process."""

    rabbitmq_host: Host = "localhost"
    rabbitmq_port: int = Field(default=5672, ge=1, le=65535)
    rabbitmq_vhost: str = "money_flow"
    rabbitmq_tls: bool = False

    def rabbitmq_login(self, login: str) -> tuple[str, str]:
        """Return user and password of one of this process's logins.

        Raises:
            ConfigurationError: the process has not declared the login.
        """
        return self._login("rabbitmq", login)

    @property
    def rabbitmq_address(self) -> str:
        """RabbitMQ's address as host:port."""
        return host_port(self.rabbitmq_host, self.rabbitmq_port)


class KafkaSettings(StoreSettings):
    """Kafka: its address, and how topics are named and created."""

    kafka_host: Host = "localhost"
    kafka_port: int = Field(default=9092, ge=1, le=65535)
    kafka_num_partitions: int = Field(default=3, ge=1, le=1000)
    kafka_log_retention_hours: int = Field(default=168, ge=1, le=876_000)
    kafka_topic_prefix: str = Field(default="", pattern=r"^[a-zA-Z0-9._-]*$")
    kafka_tls: bool = False

    def kafka_login(self, login: str) -> tuple[str, str]:
        """Return user and password of one of this process's logins.

        Raises:
            ConfigurationError: the process has not declared the login.
        """
        return self._login("kafka", login)

    def kafka_user(self, login: str) -> str:
        """Return the user of a login, also of one whose password this process does not have."""
        return str(self._of_login("kafka", login, user_field("kafka", login)))

    @cached_property
    def kafka_bootstrap(self) -> str:
        """Kafka's address as host:port."""
        return host_port(self.kafka_host, self.kafka_port)


class RedisSettings(StoreSettings):
    """Redis: its address, login and database."""

    redis_host: Host = "localhost"
    redis_port: int = Field(default=6379, ge=1, le=65535)
    redis_user: str = "app"
    redis_password: SecretStr = SecretStr(CHANGE_ME)
    redis_db: int = Field(default=0, ge=0)
    redis_tls: bool = False

    @property
    def redis_address(self) -> str:
        """Redis's address as host:port."""
        return host_port(self.redis_host, self.redis_port)


class NotifierSettings(RedisSettings, PostgresSettings):
    """Notifications of committed work: Redis, and the database whose name is part of its keys."""


class RetentionSettings(Section):
    """Retention: the days that finished jobs are kept."""

    jobs_kept_days: int = Field(default=7, ge=1, le=36500)
    jobs_discarded_kept_days: int = Field(default=30, ge=1, le=36500)
