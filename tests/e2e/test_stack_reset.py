"""The end of a stack: `make reset` leaves no process and no data."""

import pytest

from ops.dev.stack.processes import processes_in
from tests.support.stacks import SecondStack


@pytest.mark.timeout(900)
def test_a_reset_leaves_no_process_and_no_data(stack: SecondStack) -> None:
    home = stack.home
    running = processes_in(home)

    stack.answer("reset")

    assert running, "the stack runs"
    assert not any(process.is_alive() for process in running)
    assert not home.exists()
