"""Loading: read a process's settings from the environment or `.env`, and report every problem at once."""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.settings import production
from moneyflow.platform.settings.section import (
    Section,
    SectionT,
    declared_sections,
    given_by_others,
    known_names,
    known_secrets,
)
from moneyflow.platform.suggestions import nearest

#: Names that only `docker-compose.yml` reads: addresses on its network, and logins of tools next to the application.
COMPOSE_ONLY = frozenset(
    {
        "POSTGRES_IP", "KAFKA_IP", "REDIS_IP", "KAFKA_CONTROLLER_PORT", "KAFKA_BROKER_ID", "KAFKA_CLUSTER_ID",
        "KAFKA_UI_IP", "KAFKA_UI_PORT", "KAFKA_UI_CLUSTER_NAME", "KAFKA_UI_USER", "KAFKA_UI_PASSWORD",
        "GRAFANA_USER", "GRAFANA_PASSWORD", "PGADMIN_IP", "PGADMIN_PORT", "PGADMIN_DEFAULT_EMAIL",
        "PGADMIN_DEFAULT_PASSWORD", "POSTGRES_SUPERUSER_PASSWORD", "CONSOLE_PORT", "RABBITMQ_MANAGEMENT_PORT",
        "KAFKA_BROKER_PASSWORD", "DEVNET_PREFIX", "MAIL_CATCHER_PORT", "MAIL_CATCHER_SMTP_PORT", "COMPOSE_PROFILES",
        "HTTP_PORT", "HTTPS_PORT", "PUBLIC_ADDRESS", "TLS_FOLDER", "CLIENT_REQUESTS_PER_SECOND",
        "CLIENT_CONNECTIONS", "APP_CA_FILE", "CRM_DOUBLE_PORT",
    }
)  # fmt: skip

#: How alike a name must be to be taken for a misspelled setting. Every name in `.env` is meant for this application;
#: the environment is full of others' names.
_LIKE_IN_FILE, _LIKE_IN_ENVIRONMENT = 0.6, 0.88
#: A login that this code does not declare, such as that of another version's sink.
_LOGIN = Pattern(r"(?:POSTGRES|RABBITMQ|KAFKA)_([A-Z0-9_]+)_(?:USER|PASSWORD)", longest=100)
_LIKE_AS_ROLE = 0.75


def load(
    kind: type[SectionT],
    environment: Mapping[str, str] | None = None,
    dotenv: Path | None = None,
    *,
    roles: tuple[str, ...] = (),
    whole: bool = False,
) -> SectionT:
    """Read the settings of one process: its own sections and logins, and the logins of `roles`.

    They are read from the environment over `.env`; an `environment` that is given is read over `dotenv`, if any. A name
    is known when its section is imported: `moneyflow.settings` imports all. With `whole` BUILD_ENV=prod checks the
    secrets of every process that are there, and that no two are equal: for commands that see the whole `.env`.

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
    if given.get("BUILD_ENV") == "prod":
        problems += _production_problems(kind, given, whole=whole, found="\n".join(problems))
    if problems or settings is None:
        text = "the settings are not valid:\n" + "\n".join(f"  - {line}" for line in problems)
        raise ConfigurationError(text, problems)
    return settings


def _production_problems(kind: type[Section], given: Mapping[str, str], *, whole: bool, found: str) -> list[str]:
    """Return what BUILD_ENV=prod refuses, without the variables that have a problem already."""
    secrets = _secrets_of(kind, given)
    if whole:
        others = known_secrets() | {name for name in COMPOSE_ONLY if name.endswith("_PASSWORD")}
        secrets |= {name: given[name] for name in others if given.get(name)}
    named = set("".join(c if c.isalnum() or c == "_" else " " for c in found).split())
    unnamed = {name: value for name, value in secrets.items() if name not in named}
    fields = {name.lower(): value for name, value in given.items()}
    return [
        *production.weak_secrets(unnamed, given_by_others=given_by_others()),
        *(production.equal_secrets(secrets) if whole else ()),
        *production.broken_rules(declared_sections() if whole else (kind,), fields),
    ]


def _secrets_of(kind: type[Section], given: Mapping[str, str]) -> dict[str, str]:
    """Return the values of a process's secrets, with the defaults of those that are not given."""
    secrets = {}
    for name, field in kind.model_fields.items():
        if field.annotation is SecretStr:
            default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else ""
            value = given.get(name.upper()) or default
            if value or name not in kind.optional_secrets:
                secrets[name.upper()] = value
    return secrets


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


@lru_cache(maxsize=1024)  # PERF: a process and its tests read settings often, and an environment has fifty names.
def _nearest(name: str, known: frozenset[str], *, like: float) -> str | None:
    """Return the known name that was probably meant. Logins are compared by their roles alone."""
    login = _LOGIN.fullmatch(name)
    if login is None:
        return nearest(name, known, cutoff=like)
    store = name.partition("_")[0]
    roles = [other[1] for other in map(_LOGIN.fullmatch, known) if other is not None and other[0].startswith(store)]
    near = nearest(login[1], roles, cutoff=_LIKE_AS_ROLE)
    return name.replace(login[1], near) if near else None
