"""Loading: read a process's settings from the environment or `.env`, and report every problem at once."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.settings.section import CHANGE_ME, Section, SectionT, known_names
from moneyflow.platform.suggestions import nearest

#: Names that only `docker-compose.yml` reads: addresses on its network, and logins of tools next to the application.
COMPOSE_ONLY = frozenset(
    {
        "POSTGRES_IP", "KAFKA_IP", "REDIS_IP", "KAFKA_CONTROLLER_PORT", "KAFKA_BROKER_ID", "KAFKA_CLUSTER_ID",
        "KAFKA_UI_IP", "KAFKA_UI_PORT", "KAFKA_UI_CLUSTER_NAME", "KAFKA_UI_USER", "KAFKA_UI_PASSWORD",
        "GRAFANA_USER", "GRAFANA_PASSWORD", "PGADMIN_IP", "PGADMIN_PORT", "PGADMIN_DEFAULT_EMAIL",
        "PGADMIN_DEFAULT_PASSWORD", "POSTGRES_SUPERUSER_PASSWORD", "CONSOLE_PORT", "RABBITMQ_MANAGEMENT_PORT",
        "KAFKA_BROKER_PASSWORD", "DEVNET_PREFIX", "MAIL_CATCHER_PORT", "MAIL_CATCHER_SMTP_PORT", "COMPOSE_PROFILES",
    }
)  # fmt: skip

#: How alike a name must be to be taken for a misspelled setting. Every name in `.env` is meant for this application;
#: the environment is full of others' names.
_LIKE_IN_FILE, _LIKE_IN_ENVIRONMENT = 0.6, 0.88
#: A login that this code does not declare, such as that of another version's sink.
_LOGIN = re.compile(r"(?:POSTGRES|RABBITMQ|KAFKA)_([A-Z0-9_]+)_(?:USER|PASSWORD)")
_LIKE_AS_ROLE = 0.75


def load(
    kind: type[SectionT],
    environment: Mapping[str, str] | None = None,
    dotenv: Path | None = None,
    *,
    roles: tuple[str, ...] = (),
) -> SectionT:
    """Read the settings of one process: its own sections and logins, and the logins of `roles`.

    They are read from the environment over `.env`; an `environment` that is given is read over `dotenv`, if any. A name
    is known when its section is imported: `moneyflow.settings` imports all.

    Raises:
        ConfigurationError: with every problem, one per line, each with the variable's name and what to do.
    """
    kind = kind.with_logins(*roles)
    file = Path(".env") if environment is None and dotenv is None else dotenv
    file_values = {name: value or "" for name, value in dotenv_values(file).items()} if file else {}
    real = dict(os.environ if environment is None else environment)
    given = {**file_values, **real}
    values = {name: given[name.upper()] for name in kind.model_fields if name.upper() in given}
    problems = _unknown_names(file_values, real)
    settings = None
    try:
        settings = kind.model_validate(values)
    except ValidationError as error:
        problems += [_problem(dict(found)) for found in error.errors()]
    problems += _weak_secrets(kind, values) if given.get("BUILD_ENV") == "prod" else []
    if problems or settings is None:
        raise ConfigurationError("the settings are not valid:\n" + "\n".join(f"  - {line}" for line in problems))
    return settings


def _weak_secrets(kind: type[Section], values: Mapping[str, str]) -> list[str]:
    """Return one problem with the names of all default secrets, which BUILD_ENV=prod refuses."""
    weak = [name.upper() for name in kind.model_fields if _is_weak(kind, name, values.get(name))]
    return [f"{', '.join(sorted(weak))}: BUILD_ENV=prod refuses a default secret; set a random one"] if weak else []


def _is_weak(kind: type[Section], name: str, given: str | None) -> bool:
    field = kind.model_fields[name]
    if field.annotation is not SecretStr or name in kind.optional_secrets:
        return False
    default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else ""
    return (given or default).startswith(CHANGE_ME)


def _problem(found: dict[str, Any]) -> str:
    """Return the variable's name with what is wrong and what to do, and never with its value."""
    name = ".".join(str(part) for part in found["loc"]).upper()
    if found["type"] == "missing":
        return f"{name} is not set; add it to the environment or to .env (see .env.example)"
    if found["type"] == "too_short":
        return f"{name} must have at least {found['ctx']['min_length']} characters"
    message = str(found["msg"]).removeprefix("Value error, ")
    return f"{name}: {message}" if name else message


def _unknown_names(file_values: Mapping[str, str], real: Mapping[str, str]) -> list[str]:
    """Return a problem for each unknown name in `.env`, and for each name in the environment that is nearly known.

    A name that another process reads is known.
    """
    known = known_names() | COMPOSE_ONLY
    problems = []
    for name in sorted((file_values.keys() | real.keys()) - known):
        near = _nearest(name, known, like=_LIKE_IN_FILE if name in file_values else _LIKE_IN_ENVIRONMENT)
        if near and name not in file_values and near in real:
            continue  # Both are set: the likeness is chance, as with the variables that container images set.
        if near:
            problems.append(f"{name} is unknown; did you mean {near}?")
        elif name in file_values and not _LOGIN.fullmatch(name):
            problems.append(f"{name} in .env is unknown; remove it, or see .env.example for the names")
    return problems


def _nearest(name: str, known: frozenset[str], *, like: float) -> str | None:
    """Return the known name that was probably meant. Logins are compared by their roles alone."""
    login = _LOGIN.fullmatch(name)
    if login is None:
        return nearest(name, known, cutoff=like)
    store = name.partition("_")[0]
    roles = [other[1] for other in map(_LOGIN.fullmatch, known) if other is not None and other[0].startswith(store)]
    near = nearest(login[1], roles, cutoff=_LIKE_AS_ROLE)
    return name.replace(login[1], near) if near else None
