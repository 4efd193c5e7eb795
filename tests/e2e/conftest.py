"""What tests of real processes share: a file that holds jobs, a second stack, and servers that may be broken."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import copy_of_checkout
from tests.support.servers import RealServers
from tests.support.stacks import SecondStack


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
