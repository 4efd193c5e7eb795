"""The supervisor of a stack ends with a clear line when it cannot start."""

import socket
from pathlib import Path

import pytest

from ops.dev.stack.application import choose_ports, programs
from ops.dev.stack.home import State
from ops.dev.stack.supervisor import Supervisor


def test_a_port_that_is_taken_meanwhile_is_named_with_what_to_do(tmp_path: Path) -> None:
    state = State(tmp_path)
    choose_ports(state)
    api = next(program for program in programs(state) if program.inherits_socket)

    with socket.create_server(("127.0.0.1", api.port)), pytest.raises(SystemExit) as ended:
        Supervisor(state)

    assert str(ended.value).startswith(f"port {api.port} of {api.name} cannot be opened: ")
    assert str(ended.value).endswith("; `make up` chooses another one")
