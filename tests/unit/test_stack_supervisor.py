"""The supervisor of a stack ends with a clear line when it cannot start."""

import socket
from pathlib import Path

import pytest

from ops.dev.stack.application import choose_ports, programs
from ops.dev.stack.home import State
from ops.dev.stack.listening import open_sockets
from ops.dev.stack.supervisor import Supervisor


def test_a_port_that_is_taken_meanwhile_is_named_with_what_to_do(tmp_path: Path) -> None:
    state = State(tmp_path)
    choose_ports(state)
    api = next(program for program in programs(state) if program.inherits_socket)

    with socket.create_server(("127.0.0.1", api.port)), pytest.raises(SystemExit) as ended:
        Supervisor(state, {})

    assert str(ended.value).startswith(f"port {api.port} of {api.name} cannot be opened: ")
    assert str(ended.value).endswith("; `make up` chooses another one")


def test_two_stacks_that_start_at_once_have_ports_of_their_own(tmp_path: Path) -> None:
    first, second = State(tmp_path / "first"), State(tmp_path / "second")
    for state in (first, second):
        state.home.mkdir()

    opened = [*open_sockets(first).values(), *open_sockets(second).values()]
    ports = [one.getsockname()[1] for one in opened]
    for one in opened:
        one.close()

    assert len(set(ports)) == len(ports) == 2
    assert ports == [one.port for state in (first, second) for one in programs(state) if one.inherits_socket]
