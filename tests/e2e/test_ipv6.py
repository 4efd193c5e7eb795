"""On addresses of IPv6: every process listens on them and finds its servers by them, as do the operators' commands."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from moneyflow.settings import AllSettings, load_all
from ops.migrate import declare_queues
from tests.support import mails
from tests.support.command_line import moneyflow_json
from tests.support.processes import Processes
from tests.support.proxy import Proxies
from tests.support.waiting import eventually

_SERVERS = ("POSTGRES", "RABBITMQ", "KAFKA", "REDIS", "MAIL")


@pytest.fixture
def by_ipv6(platform: AllSettings) -> Iterator[dict[str, str]]:
    """Return settings that name every server by its address of version 6, half of them in brackets."""
    with Proxies() as proxies:
        targets: dict[str, int] = {name: getattr(platform, f"{name.lower()}_port") for name in _SERVERS}
        ports = {name: proxies.to(partial(targets.__getitem__, name), host="::1").port for name in _SERVERS}
        hosts = {f"{name}_HOST": "[::1]" if number % 2 else "::1" for number, name in enumerate(_SERVERS)}
        yield hosts | {f"{name}_PORT": str(port) for name, port in ports.items()}


@pytest.mark.parametrize("bound", ["::1", "::"])
def test_a_sign_up_goes_through_every_process_on_ipv6_alone(
    by_ipv6: dict[str, str],
    environment: dict[str, str],
    platform: AllSettings,
    processes: Processes,
    bound: str,
) -> None:
    settings: dict[str, Any] = by_ipv6 | {"BIND_HOST": bound}
    declare_queues(load_all(environment | settings))
    api = processes.api(**settings)
    processes.relay(**settings)
    processes.worker(**settings)
    consumer = processes.consumer("audit", **settings)
    person = {"email": "ada@ipv6.example", "name": "Ada", "password": "correct horse battery"}

    answer = httpx.post(f"http://[::1]:{api.port}/v1/users", json=person, timeout=30, trust_env=False)

    assert answer.status_code == 202
    assert eventually(lambda: mails.to(platform, person["email"]), what="the mail is caught")
    eventually(lambda: consumer.says("/metrics", 'total{outcome="written",sink="audit"}'), what="its event is written")


def test_the_operators_commands_find_servers_by_ipv6(by_ipv6: dict[str, str], environment: dict[str, str]) -> None:
    settings = environment | by_ipv6

    assert moneyflow_json(settings, "failed", "groups") is not None
    assert moneyflow_json(settings, "queue", "status") is not None


def test_an_address_in_a_message_is_one_that_can_be_used(environment: dict[str, str]) -> None:
    settings = load_all(environment | {f"{name}_HOST": "[::1]" for name in _SERVERS} | {"BIND_HOST": "[::]"})

    assert settings.bind_host == "::"
    assert settings.kafka_bootstrap == f"[::1]:{settings.kafka_port}"
    assert settings.postgres_address == f"[::1]:{settings.postgres_port}"
    assert "host=::1" in settings.conninfo("app", application_name="test")
