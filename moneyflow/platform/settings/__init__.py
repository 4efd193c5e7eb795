"""Settings in sections: a process inherits the sections that it needs and loads nothing else.

A section is a frozen model whose fields are environment names in lower case; it is declared in the room that it
configures. `moneyflow/settings.py` declares which sections each process has; a function takes the one section that it
reads. Nothing else in the code reads the environment.
"""

from moneyflow.platform.settings.loading import COMPOSE_ONLY, load
from moneyflow.platform.settings.section import CHANGE_ME, Host, Section, host_port, known_names
from moneyflow.platform.settings.sections import (
    KafkaSettings,
    NotifierSettings,
    PostgresSettings,
    ProcessSettings,
    RabbitmqSettings,
    RedisSettings,
    RetentionSettings,
)

__all__ = [
    "CHANGE_ME",
    "COMPOSE_ONLY",
    "Host",
    "KafkaSettings",
    "NotifierSettings",
    "PostgresSettings",
    "ProcessSettings",
    "RabbitmqSettings",
    "RedisSettings",
    "RetentionSettings",
    "Section",
    "host_port",
    "known_names",
    "load",
]
