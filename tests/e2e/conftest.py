"""The product's own processes on this test's database and brokers."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from moneyflow.settings import AllSettings
from tests.support import effects
from tests.support.checkout import copy_of_checkout
from tests.support.processes import Processes
from tests.support.servers import RealServers
from tests.support.stacks import SecondStack


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


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondStack]:
    """Return a second stack that runs on this machine, the first start of which was killed half-way.

    Its tests share it, because a start takes a minute of the processor: the last of their lane deletes it.
    """
    stack = SecondStack(copy_of_checkout(tmp_path_factory.mktemp("stack") / "checkout"))
    try:
        stack.kill_a_start()
        stack.up()
        yield stack
    finally:
        stack.run("reset")


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
