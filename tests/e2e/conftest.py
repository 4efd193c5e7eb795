"""The product's own processes on this test's database and brokers."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from moneyflow.settings import AllSettings
from tests.support import effects
from tests.support.processes import Processes
from tests.support.servers import RealServers


@pytest.fixture
def processes(environment: dict[str, str], tmp_path: Path) -> Iterator[Processes]:
    """Start processes that are stopped with the test."""
    with Processes(environment, tmp_path) as started:
        yield started


@pytest.fixture
def platform(queues: AllSettings, topics: AllSettings) -> AllSettings:
    """Return the settings of a migrated test: queues, topics and the table of effects are there."""
    assert queues is topics
    effects.create_table(queues)
    return queues


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """Return a file that holds jobs for as long as it is there."""
    file = tmp_path / "hold"
    file.touch()
    return file


@pytest.fixture
def breakable(servers: RealServers) -> Iterator[RealServers]:
    """Return the servers, and bring back whatever the test has stopped."""
    yield servers
    for server in servers.all():
        server.start()
    for server in servers.all():
        server.wait_ready()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show next to a failure what each of its processes said last."""
    report = yield
    started = getattr(item, "funcargs", {}).get("processes")
    if report.when == "call" and report.failed and isinstance(started, Processes):
        for process in started.all():
            report.sections.append((" ".join(process.command), process.log()[-3000:]))
    return report
