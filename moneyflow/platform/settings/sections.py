"""The platform's sections: what every process has, its servers, and how long rows are kept."""

from functools import cached_property
from typing import Literal

from psycopg.conninfo import make_conninfo
from pydantic import Field, SecretStr

from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.settings.section import CHANGE_ME, Host, Section, host_port, password_field, user_field


class ProcessSettings(Section):
    """Basics of a long-running process: its mode, its log, and the address on which it listens."""

    build_env: Literal["dev", "prod"] = "dev"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    bind_host: Host = "0.0.0.0"  # noqa: S104 - inside a container; the stack on a bare machine sets 127.0.0.1


class PostgresSettings(Section):
    """PostgreSQL: its address; the logins are those of the process's roles."""

    postgres_host: Host = "localhost"
    postgres_port: int = Field(default=5432, ge=1, le=65535)
    postgres_db: str = "money_flow"

    @property
    def postgres_address(self) -> str:
        """PostgreSQL's address as host:port."""
        return host_port(self.postgres_host, self.postgres_port)

    def user(self, role: str) -> str:
        """Return the user that connects as a role."""
        return str(self._of_role(role, user_field(role)))

    def conninfo(self, role: str, *, application_name: str) -> str:
        """Return libpq's connection string for a role of this process.

        Raises:
            ConfigurationError: the process has not declared the role.
        """
        password: SecretStr = self._of_role(role, password_field(role))
        return make_conninfo(
            host=self.postgres_host,
            port=self.postgres_port,
            dbname=self.postgres_db,
            user=self.user(role),
            password=password.get_secret_value(),
            application_name=application_name,
            connect_timeout=5,
            # Without keepalives, a connection to a machine that vanished blocks its caller for hours.
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=20_000,
        )

    def _of_role(self, role: str, field: str) -> SecretStr:
        if field not in type(self).model_fields:
            raise ConfigurationError(
                f"{field.upper()} is not loaded by this process; add {role!r} to the postgres_roles of "
                f"{type(self).__name__} in moneyflow/settings.py"
            )
        value: SecretStr = getattr(self, field)
        return value


class RabbitmqSettings(Section):
    """RabbitMQ: its address, login and virtual host."""

    rabbitmq_host: Host = "localhost"
    rabbitmq_port: int = Field(default=5672, ge=1, le=65535)
    rabbitmq_user: str = "app"
    rabbitmq_password: SecretStr = SecretStr(CHANGE_ME)
    rabbitmq_vhost: str = "money_flow"

    @property
    def rabbitmq_address(self) -> str:
        """RabbitMQ's address as host:port."""
        return host_port(self.rabbitmq_host, self.rabbitmq_port)


class KafkaSettings(Section):
    """Kafka: its address, and how topics are named and created."""

    kafka_host: Host = "localhost"
    kafka_port: int = Field(default=9092, ge=1, le=65535)
    kafka_num_partitions: int = Field(default=3, ge=1, le=1000)
    kafka_log_retention_hours: int = Field(default=168, ge=1, le=876_000)
    kafka_topic_prefix: str = Field(default="", pattern=r"^[a-zA-Z0-9._-]*$")

    @cached_property
    def kafka_bootstrap(self) -> str:
        """Kafka's address as host:port."""
        return host_port(self.kafka_host, self.kafka_port)


class RedisSettings(Section):
    """Redis: its address, login and database."""

    redis_host: Host = "localhost"
    redis_port: int = Field(default=6379, ge=1, le=65535)
    redis_user: str = "app"
    redis_password: SecretStr = SecretStr(CHANGE_ME)
    redis_db: int = Field(default=0, ge=0)

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
