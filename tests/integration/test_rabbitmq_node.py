"""RabbitMQ as the stack runs it: its node uses its own epmd, and leaves no other one."""

from pathlib import Path

import psutil

from tests.support.servers import RealServers


def _epmds(folder: Path) -> list[psutil.Process]:
    """Return every epmd that was started for the servers in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == "epmd" and any(str(folder) in value for value in process.environ().values()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_the_node_uses_the_epmd_that_the_stack_knows_and_starts_no_other(servers: RealServers) -> None:
    known = servers.rabbitmq.state.value("pids", "epmd")[0]

    (epmd,) = [process for process in psutil.process_iter() if process.pid == known]

    assert str(servers.rabbitmq.port("epmd")) in epmd.cmdline()
    assert [process.pid for process in _epmds(servers.folder) if process.pid != known] == []
