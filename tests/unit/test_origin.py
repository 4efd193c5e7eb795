"""On whose behalf work is done: carried through a block, and no further."""

import re
import threading

import pytest

from moneyflow.platform.telemetry import origin
from moneyflow.platform.telemetry.origin import Origin, add_to_line, child_traceparent, current, working_for

_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")


def test_outside_any_block_the_origin_is_empty() -> None:
    assert current() == Origin()


def test_the_origin_holds_in_its_block_also_after_an_inner_one() -> None:
    outer, inner = Origin(correlation_id="outer"), Origin(correlation_id="inner")

    with working_for(outer):
        with working_for(inner):
            assert current() is inner
        assert current() is outer
    assert current() == Origin()


def test_an_error_ends_the_block_too() -> None:
    with pytest.raises(OSError, match="broken"), working_for(Origin(correlation_id="x")):
        raise OSError("broken")

    assert current() == Origin()
    assert add_to_line(None, "info", {}) == {}


def test_log_lines_carry_the_request_and_the_fields() -> None:
    with working_for(Origin(correlation_id="request-1"), job="send_email"):
        line = add_to_line(None, "info", {"event": "sent", "job": "another"})

    assert line == {"event": "sent", "correlation_id": "request-1", "job": "another"}, "the line's own word goes first"
    assert add_to_line(None, "info", {}) == {}


def test_another_thread_has_no_origin() -> None:
    seen: list[Origin] = []

    with working_for(Origin(correlation_id="x")):
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()

    assert seen == [Origin()]


def test_a_child_stays_in_its_parents_trace_with_a_span_of_its_own() -> None:
    first, second = child_traceparent(_PARENT), child_traceparent(_PARENT)

    assert _FORM.fullmatch(first)
    assert first[3:35] == _PARENT[3:35]
    assert len({first[36:52], second[36:52], _PARENT[36:52]}) == 3


@pytest.mark.parametrize(
    "parent",
    [
        None,
        "",
        "nonsense",
        _PARENT.upper(),
        _PARENT + "-more",
        _PARENT + "\n",
        "01" + _PARENT[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    ],
)
def test_without_a_good_parent_a_trace_begins(parent: str | None) -> None:
    child = child_traceparent(parent)

    assert _FORM.fullmatch(child)
    assert child[3:35] not in (parent or "")
    assert child_traceparent(parent)[3:35] != child[3:35]


def test_the_source_of_events_is_the_process() -> None:
    before = origin.process()
    try:
        origin.set_process("relay")

        assert origin.source() == "/money-flow/relay"
    finally:
        origin.set_process(before)
