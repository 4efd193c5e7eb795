"""The compose file and its settings, as far as both can be checked without an engine."""

import re
import socket
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from moneyflow.platform import settings as settings_module
from moneyflow.settings import (
    CONSUMER_SETTINGS,
    AnalyticsSettings,
    ApiSettings,
    AuditVerifySettings,
    ConsumerSettings,
    CrmReadSettings,
    KafkaUsersSettings,
    MigrateSettings,
    RelaySettings,
    StatusSettings,
    WorkerSettings,
    load_all,
)
from ops.dev.stack.application import CONSUMERS
from ops.dev.stack.compose.settings import PORTS, given_settings, resolve, seen_from_host, write_env_file
from ops.dev.stack.contract import StackError
from ops.dev.stack.home import CHECKOUT, State

_COMPOSE = (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")
_VARIABLES = frozenset(re.findall(r"\$\{([A-Z_]+)", _COMPOSE))
_STEERING = {"COMPOSE_PROJECT_NAME", "ENV_FILE"}


def test_every_variable_of_the_compose_file_is_a_known_setting() -> None:
    known = settings_module.known_names() | settings_module.COMPOSE_ONLY

    assert known | _STEERING >= _VARIABLES


def _environments() -> dict[str, frozenset[str]]:
    """Return the names of the variables that each service is given, with those of the anchors that it merges."""
    anchors = {
        anchor: _names(block)
        for anchor, block in re.findall(r"^x-[\w-]+: &([\w-]+)\n((?:  [A-Z0-9_]+:.*\n)+)", _COMPOSE, re.MULTILINE)
    }
    services = re.findall(r"^  ([\w-]+):\n((?:    .*\n|\n)+)", _COMPOSE.partition("\nservices:\n")[2], re.MULTILINE)
    found = {}
    for service, body in services:
        block = "".join(re.findall(r"^    environment:.*\n((?:      .*\n)+)", body, re.MULTILINE))
        merged = re.findall(r"\*([\w-]+)", "".join(re.findall(r"^      <<: (.*)$", block, re.MULTILINE)))
        found[service] = _names(block).union(*(anchors[anchor] for anchor in merged))
    return found


def _names(block: str) -> frozenset[str]:
    return frozenset(re.findall(r"^ +([A-Z0-9_]+):", block, re.MULTILINE))


@pytest.mark.parametrize(
    ("service", "loaded"),
    [
        ("api", ApiSettings.environment_names()),
        ("worker", WorkerSettings.environment_names()),
        ("relay", RelaySettings.environment_names()),
        *(
            (name, CONSUMER_SETTINGS.get(sink, ConsumerSettings).environment_names(sink))
            for sink, name in CONSUMERS.items()
        ),
        ("migrate", MigrateSettings.environment_names()),
        ("kafka-users", KafkaUsersSettings.environment_names()),
        (
            "cli",
            StatusSettings.environment_names()
            | AuditVerifySettings.environment_names()
            | AnalyticsSettings.environment_names()
            | CrmReadSettings.environment_names(),
        ),
    ],
)
def test_each_process_is_given_the_settings_that_it_loads_and_no_others(service: str, loaded: frozenset[str]) -> None:
    of_the_build = {"LOG_LEVEL"}  # ops/docker/app/dev.yml and prod.yml set it.

    assert _environments()[service] == loaded - of_the_build


def test_no_service_but_the_check_of_settings_is_given_the_whole_file_and_that_has_no_network() -> None:
    services = dict(re.findall(r"^  ([\w-]+):\n((?:    .*\n|\n)+)", _COMPOSE, re.MULTILINE))

    assert [name for name, body in services.items() if "env_file" in body] == ["settings"]
    assert _COMPOSE.count("env_file:") == 1
    assert "network_mode: none" in services["settings"]
    assert "settings: { condition: service_completed_successfully }" in services["migrate"]


def test_the_servers_know_the_passwords_of_their_own_users_alone() -> None:
    secrets = {
        service: set(re.findall(r"\$\{([A-Z_]+_PASSWORD)", body))
        for service, body in re.findall(r"^  ([\w-]+):\n((?:    .*\n|\n)+)", _COMPOSE, re.MULTILINE)
    }

    assert secrets["postgres"] == {"POSTGRES_SUPERUSER_PASSWORD"}
    assert secrets["redis"] == {"REDIS_PASSWORD"}
    assert secrets["kafka"] == {"KAFKA_BROKER_PASSWORD", "KAFKA_MIGRATE_PASSWORD"}
    assert all(name.startswith("RABBITMQ_") for name in secrets["rabbitmq"])


def test_every_secret_must_be_set_and_none_has_a_default() -> None:
    secrets = {name for name in _VARIABLES if name.endswith(("_PASSWORD", "_KEY", "_TOKEN"))}

    assert secrets
    for name in secrets:
        assert set(re.findall(rf"\${{{name}(.[^}}]*)}}", _COMPOSE)) == {":?set it in .env"}, name


def test_every_port_is_published_on_this_machine_alone() -> None:
    published = re.findall(r'"([^"\s]*):(\d+)"', "\n".join(re.findall(r"ports:.*(?:\n\s+- .*)*", _COMPOSE)))

    assert len(published) == len(PORTS)
    at_the_door = [where for where, port in published if port in {"80", "443"}]
    assert [where.partition("}:")[0] for where in at_the_door] == ["${PUBLIC_ADDRESS:-127.0.0.1"] * 2
    assert all(where.startswith("127.0.0.1:${") for where, _ in published if where not in at_the_door)


def test_each_published_port_has_one_default_in_the_file_and_in_the_stack() -> None:
    defaults = dict(re.findall(r"127\.0\.0\.1\}?:\$\{([A-Z_]+):-(\d+)\}", _COMPOSE))

    assert {name: int(port) for name, port in defaults.items()} == PORTS


def _service(name: str) -> str:
    services: dict[str, str] = dict(re.findall(r"^  ([\w-]+):\n((?:    .*\n|\n)+)", _COMPOSE, re.MULTILINE))
    return services[name]


def test_nginx_waits_for_its_certificate_and_the_api_has_no_rights_and_cannot_write() -> None:
    nginx = _service("nginx")

    assert "certificates: { condition: service_completed_successfully }" in nginx
    assert "api: { condition: service_healthy }" in nginx
    assert "read_only: true" in nginx
    assert "cap_drop: [ALL]" in nginx
    assert '"${TLS_FOLDER:-certificates}:/certificates:ro"' in nginx
    assert '"storage:/storage:ro"' in nginx
    assert '"${TLS_FOLDER:-certificates}:/certificates"' in _service("certificates")


def test_the_api_is_asked_for_its_health_on_its_own_port_and_believes_nginx_alone() -> None:
    api = _service("api")

    assert "ports:" not in api
    assert '"/usr/local/share/money-flow/ready.py", "9190"' in api
    assert "TRUSTED_PROXIES: ${DEVNET_PREFIX:-172.28.0}.12/32" in api
    assert '"${DEVNET_PREFIX:-172.28.0}.12"' in _service("nginx")


def test_the_template_of_nginx_has_no_name_that_the_container_does_not_fill_in() -> None:
    folder = CHECKOUT / "ops" / "docker" / "nginx"
    names = set(re.findall(r"@([A-Z]+)@", (folder / "nginx.conf.template").read_text(encoding="utf-8"))) - {"NAMES"}

    assert names == set(re.findall(r"s\|@([A-Z]+)@\|", (folder / "entrypoint.sh").read_text(encoding="utf-8")))


def test_every_image_is_pinned_to_a_version() -> None:
    files = [
        _COMPOSE,
        *(path.read_text(encoding="utf-8") for path in (CHECKOUT / "ops" / "docker").glob("*/Dockerfile")),
    ]
    pulled = [
        image
        for text in files
        for image in re.findall(r"^(?:FROM|\s*image:) (\S+)", text, re.MULTILINE)
        if "/" in image or ":" in image
    ]
    ours = "${COMPOSE_PROJECT_NAME}"

    assert all(
        re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?[a-z-]*", image) for image in pulled if not image.startswith(ours)
    )


def test_processes_reload_in_dev_and_are_the_container_s_own_in_prod() -> None:
    of_the_application = {
        build: (CHECKOUT / "ops" / "docker" / "app" / f"{build}.yml").read_text(encoding="utf-8")
        for build in ("dev", "prod")
    }

    assert 'entrypoint: ["python", "-m", "ops.dev.stack.reload"]' in of_the_application["dev"]
    assert "../../..:/app:ro" in of_the_application["dev"]
    assert "entrypoint" not in of_the_application["prod"]
    assert "reload" not in of_the_application["prod"]


def test_the_user_s_settings_win_and_what_is_empty_counts_as_not_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=mine\nREDIS_PASSWORD=\nRABBITMQ_USER=file\n", encoding="utf-8")
    given = given_settings(tmp_path / ".env", {"RABBITMQ_USER": "environment", "PATH": "/bin"})

    values = resolve(given, State(tmp_path), published=(), taken=())

    assert values["POSTGRES_PASSWORD"] == "mine"
    assert values["RABBITMQ_USER"] == "environment"
    assert len(values["REDIS_PASSWORD"]) >= 32
    assert "PATH" not in values


def test_secrets_and_ports_are_the_same_at_the_next_start(tmp_path: Path) -> None:
    first = resolve({}, State(tmp_path), published=(), taken=())
    second = resolve({}, State(tmp_path), published=(), taken=())

    assert first == second


def test_every_setting_that_a_process_needs_has_a_value(tmp_path: Path) -> None:
    values = resolve({}, State(tmp_path), published=(), taken=())
    required = set(re.findall(r"\$\{([A-Z_]+):\?", _COMPOSE))

    assert required <= values.keys()
    load_all(values | {"BUILD_ENV": "prod", "APP_URL": "https://money-flow.example", "CRM_URL": ""}, whole=True)


def test_a_taken_port_that_the_user_did_not_set_is_replaced(tmp_path: Path) -> None:
    with _listening() as port:
        State(tmp_path).change("compose_ports", "REDIS_PORT", port)

        values = resolve({}, State(tmp_path), published=(), taken=())

    assert values["REDIS_PORT"] != str(port)


def test_a_taken_port_that_the_user_set_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with _listening() as port, pytest.raises(StackError, match=rf"port {port} .* REDIS_PORT asks for it"):
        resolve({"REDIS_PORT": str(port)}, State(tmp_path), published=(), taken=())


def test_the_running_stack_s_own_ports_are_not_taken(tmp_path: Path) -> None:
    with _listening() as port:
        values = resolve({"REDIS_PORT": str(port)}, State(tmp_path), published={port}, taken=())

    assert values["REDIS_PORT"] == str(port)


def test_a_taken_subnet_is_replaced_and_fixed_addresses_move_with_it(tmp_path: Path) -> None:
    taken = [IPv4Network("172.28.7.0/24"), IPv4Network("172.29.0.0/16")]

    values = resolve({"POSTGRES_IP": "172.28.0.11"}, State(tmp_path), published=(), taken=taken)

    assert values["DEVNET_PREFIX"] == "172.30.0"
    assert values["POSTGRES_IP"] == "172.30.0.11"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_mail_server_on_this_machine_means_the_catcher_to_a_container(tmp_path: Path, host: str) -> None:
    values = resolve({"MAIL_HOST": host, "MAIL_PORT": "2525"}, State(tmp_path), published=(), taken=())

    assert (values["MAIL_HOST"], values["MAIL_PORT"]) == ("mailpit", "1025")


def test_a_mail_server_elsewhere_stays(tmp_path: Path) -> None:
    given = {"MAIL_HOST": "sandbox.smtp.mailtrap.io", "MAIL_PORT": "2525"}

    values = resolve(given, State(tmp_path), published=(), taken=())

    assert given.items() <= values.items()
    assert given.items() <= seen_from_host(values).items()


def test_a_program_on_this_machine_sees_published_ports(tmp_path: Path) -> None:
    values = resolve({}, State(tmp_path), published=(), taken=())

    seen = seen_from_host(values)

    loaded = load_all(seen)
    assert {loaded.postgres_host, loaded.rabbitmq_host, loaded.kafka_host, loaded.redis_host} == {"127.0.0.1"}
    assert seen["MAIL_PORT"] == values["MAIL_CATCHER_SMTP_PORT"]
    assert seen["MAIL_CATCHER_URL"] == f"http://127.0.0.1:{values['MAIL_CATCHER_PORT']}"


def test_the_env_file_is_for_its_owner_alone_and_keeps_special_characters(tmp_path: Path) -> None:
    path = tmp_path / "compose.env"

    write_env_file(path, {"A": "x #$y\\z", "B": 'it\'s "$q"'})

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text(encoding="utf-8") == 'A=\'x #$y\\z\'\nB="it\'s \\"\\$q\\""\n'


def test_a_line_break_in_a_setting_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="SECRET_KEY"):
        write_env_file(tmp_path / "compose.env", {"SECRET_KEY": "a\nb"})


class _listening:  # noqa: N801 - reads as the condition that it makes
    """Yield a port with a listener."""

    def __enter__(self) -> int:
        self._socket = socket.create_server(("127.0.0.1", 0))
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def test_nothing_of_the_developers_tools_is_in_the_image() -> None:
    rules = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    # The last rule that matches a file decides.
    assert rules.index("!ops") < rules.index("ops/dev")
    assert not any(rule.startswith("!ops/dev") for rule in rules)
