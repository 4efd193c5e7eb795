"""Sinks: each is registered under its name, passes the conformance suite, has a role, and reads its topics."""

import subprocess
import sys
from pathlib import Path

import pytest

import consumers.sinks  # noqa: F401 - importing it registers the sinks
from consumers.sink import Sink, registry, sink
from moneyflow.events import event_topics
from moneyflow.platform.settings import known_names
from moneyflow.settings import SINKS
from ops.dev.stack.servers.postgres import ROLES

_ROOT = Path(__file__).parents[2]


def _product() -> dict[str, Sink]:
    """Return the sinks of the product, without those that tests register."""
    sinks = {name: make() for name, make in registry.items()}
    return {name: made for name, made in sinks.items() if type(made).__module__.startswith("consumers.sinks.")}


def test_a_sinks_name_is_the_name_of_its_module_and_its_key_in_the_registry() -> None:
    assert _product()
    for name, made in _product().items():
        assert (made.name, type(made).__module__) == (name, f"consumers.sinks.{name}")


def test_every_sink_inherits_the_conformance_suite_in_its_test() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (_ROOT / "tests").rglob("test_*.py")]

    for name, made in _product().items():
        tested = any(f"sink = {type(made).__name__}(" in source and "(SinkConformance)" in source for source in sources)
        assert tested, f"add tests/integration/test_{name}_sink.py with a class that inherits SinkConformance"


def test_a_second_sink_of_one_name_is_refused() -> None:
    with pytest.raises(TypeError, match="sink audit is registered already"):
        sink("audit")(lambda: _product()["audit"])


def test_the_audit_process_reads_every_topic_of_events_whatever_else_is_imported() -> None:
    program = "import consumers.__main__; from consumers.sinks.audit import AuditSink; print(*AuditSink.topics)"

    done = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) == set(event_topics())
    assert {"user.events", "auth.events", "transaction.events", "category.events", "system.events"} <= set(
        event_topics()
    )


def test_the_role_of_every_sink_is_created_has_its_settings_and_reaches_its_container() -> None:
    compose = (_ROOT / "docker-compose.yml").read_text(encoding="utf-8")

    for name, made in _product().items():
        assert made.role in ROLES, f"add the role {made.role} of the sink {name} to ops/docker/postgres/roles"
        assert name in SINKS, f"add {name} to SINKS in moneyflow/settings.py"
        assert made.role == name, "its user of Kafka is named as its role"
    for role in ROLES:
        prefix = "POSTGRES" if role == "app" else f"POSTGRES_{role.upper()}"
        assert {f"{prefix}_USER", f"{prefix}_PASSWORD"} <= known_names()
        assert f"      {prefix}_USER: " in compose
        assert f"      {prefix}_PASSWORD: " in compose
