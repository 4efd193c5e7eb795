"""Settings of the compose file: the user's, over free ports, random secrets and a free subnet."""

import os
from collections.abc import Collection, Mapping
from ipaddress import IPv4Network
from pathlib import Path

from dotenv import dotenv_values

from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.settings import COMPOSE_ONLY, known_names
from moneyflow.settings import SINKS, AllSettings, load_all
from ops.dev.stack.contract import StackError
from ops.dev.stack.home import State, write_private
from ops.dev.stack.ports import free_port, is_free

#: The published ports, and the preferred number of each.
PORTS = {
    "APP_PORT": 9999,
    "HTTP_PORT": 80,
    "HTTPS_PORT": 443,
    "POSTGRES_PORT": 5432,
    "RABBITMQ_PORT": 5672,
    "RABBITMQ_MANAGEMENT_PORT": 15672,
    "KAFKA_PORT": 9092,
    "REDIS_PORT": 6379,
    "CRM_DOUBLE_PORT": 8070,
    "MAIL_CATCHER_PORT": 8025,
    "MAIL_CATCHER_SMTP_PORT": 1025,
}
#: Each secret, and its name in the state; the stack without Docker uses the same ones.
_SECRETS = {
    "SECRET_KEY": "application",
    "AUDIT_CHECKPOINT_KEY": "audit_checkpoints",
    "POSTGRES_SUPERUSER_PASSWORD": "postgres",
    "POSTGRES_PASSWORD": "app",
    "POSTGRES_OWNER_PASSWORD": "owner",
    "POSTGRES_RELAY_PASSWORD": "relay",
    "POSTGRES_WORKER_PASSWORD": "worker",
    "POSTGRES_OPERATOR_PASSWORD": "operator",
    **{f"POSTGRES_{sink.upper()}_PASSWORD": sink for sink in SINKS},
    "RABBITMQ_PASSWORD": "rabbitmq",
    "RABBITMQ_MIGRATE_PASSWORD": "rabbitmq_migrate",
    "RABBITMQ_RELAY_PASSWORD": "rabbitmq_relay",
    "RABBITMQ_WORKER_PASSWORD": "rabbitmq_worker",
    "KAFKA_BROKER_PASSWORD": "kafka_broker",
    "KAFKA_MIGRATE_PASSWORD": "kafka_migrate",
    "KAFKA_RELAY_PASSWORD": "kafka_relay",
    "KAFKA_OPERATOR_PASSWORD": "kafka_operator",
    **{f"KAFKA_{sink.upper()}_PASSWORD": f"kafka_{sink}" for sink in SINKS},
    "REDIS_PASSWORD": "redis",
}
_DEFAULT_PREFIX = "172.28.0"
_PREFIXES = (_DEFAULT_PREFIX, *(f"172.{n}.0" for n in (29, 30, 31, 27, 26, 25, 24)), *(f"10.{n}.0" for n in (90, 91)))
_CATCHER_HOST, _CATCHER_PORT = "mailpit", "1025"
_CRM_URL = "http://crm:8070"
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1", "[::1]"}


def given_settings(dotenv: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the user's settings: the environment over `.env`; an empty value counts as not set."""
    real = os.environ if environment is None else environment
    ours = known_names() | COMPOSE_ONLY
    values = dotenv_values(dotenv) | {name: real[name] for name in ours & real.keys()}
    return {name: value for name, value in values.items() if value}


def resolve(
    given: Mapping[str, str], state: State, *, published: Collection[int], taken: Collection[IPv4Network]
) -> dict[str, str]:
    """Return all variables of the compose file, and keep what is chosen here for the next start.

    Args:
        given: the user's settings, which win.
        state: keeps ports and secrets.
        published: ports that the running stack itself uses.
        taken: networks of other projects.

    Raises:
        StackError: a port that the user has set is taken.
    """
    values = {name: given.get(name) or state.secret(kept) for name, kept in _SECRETS.items()}
    values |= {name: str(_port(name, given, state, published)) for name in PORTS}
    values["DEVNET_PREFIX"] = given.get("DEVNET_PREFIX") or _prefix(state, taken)
    values["BUILD_ENV"] = "dev"
    if given.get("BUILD_ENV") != "prod":
        values |= {"CRM_ADAPTER": "hubspot", "CRM_URL": _CRM_URL, "CRM_TOKEN": state.secret("crm_token")}
    values["APP_URL"] = f"https://127.0.0.1:{values['HTTPS_PORT']}"
    # The demo and load tests of this machine are one client.
    values |= {"API_LIMITS_FACTOR": "10000", "CLIENT_REQUESTS_PER_SECOND": "100000", "CLIENT_CONNECTIONS": "10000"}
    return values | dict(given) | _reachable(given, values["DEVNET_PREFIX"])


def refuse_invalid(values: Mapping[str, str]) -> None:
    """Refuse settings that a process would refuse at its start, and in production equal secrets, before it is built.

    Raises:
        StackError: with every problem.
    """
    try:
        load_all(values, whole=True)
    except ConfigurationError as error:
        raise StackError(str(error)) from error


def seen_from_host(values: Mapping[str, str]) -> dict[str, str]:
    """Return the settings for a program on this machine: the published ports instead of the names in the network."""
    defaults = {
        name.upper(): str(field.default)
        for name, field in AllSettings.with_logins().model_fields.items()
        if name.startswith(("postgres_", "rabbitmq_", "redis_", "kafka_", "mail_"))
        and isinstance(field.default, str | int)
    }
    seen = defaults | dict(values)
    seen |= dict.fromkeys(("POSTGRES_HOST", "RABBITMQ_HOST", "KAFKA_HOST", "REDIS_HOST", "BIND_HOST"), "127.0.0.1")
    seen["MAIL_CATCHER_URL"] = f"http://127.0.0.1:{values['MAIL_CATCHER_PORT']}"
    if values.get("CRM_URL") == _CRM_URL:
        seen["CRM_URL"] = f"http://127.0.0.1:{values['CRM_DOUBLE_PORT']}"
    if values["MAIL_HOST"] == _CATCHER_HOST:
        seen |= {"MAIL_HOST": "127.0.0.1", "MAIL_PORT": values["MAIL_CATCHER_SMTP_PORT"]}
    return seen


def write_env_file(path: Path, values: Mapping[str, str]) -> None:
    """Write the variables for Compose, readable by their owner only."""
    lines = [f"{name}={_quoted(name, value)}\n" for name, value in sorted(values.items())]
    fresh = path.with_suffix(".new")
    write_private(fresh, "".join(lines))
    fresh.replace(path)


def _port(name: str, given: Mapping[str, str], state: State, published: Collection[int]) -> int:
    if name in given:
        if not given[name].isdigit():
            raise StackError(f"{name}={given[name]} is not a port; correct it in .env.")
        port = int(given[name])
        if port not in published and not is_free(port):
            raise StackError(
                f"port {port} of 127.0.0.1 is taken, and {name} asks for it.\n"
                f"Stop the program that listens there, or remove {name} from .env: then a free port is chosen."
            )
        return port
    port = state.value("compose_ports", name) or PORTS[name]
    if port not in published and not is_free(port):
        port = free_port()
    state.change("compose_ports", name, port)
    return port


def _prefix(state: State, taken: Collection[IPv4Network]) -> str:
    """Return the first three numbers of a /16 network that no other network overlaps."""
    for prefix in (state.value("compose", "prefix"), *_PREFIXES):
        if prefix and not any(IPv4Network(f"{prefix}.0/16").overlaps(network) for network in taken):
            state.change("compose", "prefix", prefix)
            return str(prefix)
    raise StackError("every usual subnet is taken; set DEVNET_PREFIX in .env, for example 10.123.0 for 10.123.0.0/16.")


def _reachable(given: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return the settings that have other values inside the network: addresses in the subnet, and the mail catcher."""
    changed = {
        name: value.replace(_DEFAULT_PREFIX, prefix, 1)
        for name, value in given.items()
        if name.endswith("_IP") and value.startswith(f"{_DEFAULT_PREFIX}.")
    }
    if given.get("MAIL_HOST", "localhost") in _THIS_MACHINE:
        changed |= {"MAIL_HOST": _CATCHER_HOST, "MAIL_PORT": _CATCHER_PORT}
    return changed


def _quoted(name: str, value: str) -> str:
    if "\n" in value:
        raise StackError(f"{name} has a line break, which Compose cannot read; remove it.")
    if "'" not in value:
        return f"'{value}'"
    for special in '\\"$':
        value = value.replace(special, f"\\{special}")
    return f'"{value}"'
