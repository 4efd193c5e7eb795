"""A checkout of its own: the stack starts after a start that was killed, and the demo's sums hold."""

import pytest

from tests.support.stacks import SecondStack


@pytest.mark.timeout(900)
def test_after_a_start_that_was_killed_half_way_the_next_one_starts_everything(stack: SecondStack) -> None:
    assert "✓ postgres" in (stack.checkout / "killed.log").read_text(), "the fixture killed a start"
    assert {name: status for name, (_, _, status) in stack.rows().items() if status != "ready"} == {}


@pytest.mark.timeout(900)
def test_every_sum_of_the_demo_holds_and_the_commands_find_the_stack_that_it_leaves_running(stack: SecondStack) -> None:
    shown = stack.answer("--with", "native", "--people", "60", module="ops.dev.demo")
    environment = stack.environment()
    found = stack.answer("queue", "status", "--json", module="ops.cli")

    assert "every sum holds" in shown
    assert '"paused": []' in found, "without an environment the command finds this checkout's stack"
    assert environment["APP_URL"] == f"https://127.0.0.1:{environment['HTTPS_PORT']}"
    assert environment["APP_CA_FILE"] == str(stack.home / "nginx" / "certificates" / "ca.pem")
