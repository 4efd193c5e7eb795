"""Each sink's own tests turn red when a safeguard of the runtime is taken out: the gate, the epoch, one transaction."""

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers import positions
from consumers.assignment import AssignmentFence
from consumers.runtime import Consumer
from consumers.writer import SinkWriter
from moneyflow.platform.database import Database
from moneyflow.settings import SINKS, AllSettings
from tests.support import sabotage
from tests.support.sink_conformance import DeadLetterList, SinkConformance

for _path in Path(__file__).parent.glob("test_*_sink.py"):
    importlib.import_module(f"tests.integration.{_path.stem}")
_SUITES: dict[str, Any] = {suite.sink.name: suite for suite in SinkConformance.__subclasses__()}

#: Each safeguard, and the test that is red without it.
_TESTS = {
    "without_assignment_fence": "test_records_that_come_before_their_partition_is_open_are_dropped_and_written_when_"
    "they_come_again",
    "without_epoch": "test_a_consumer_whose_partition_was_claimed_by_another_writes_nothing",
    "without_rows_and_position_together": "test_a_consumer_that_dies_at_any_point_leaves_nothing_out_and_nothing_twice",
}


@pytest.fixture
def mended() -> Iterator[None]:
    """Put the safeguards back after the test."""
    places: list[tuple[Any, tuple[str, ...]]] = [
        (positions, ("_QUERIES", "advance")),
        (Consumer, ("_take", "_open", "__init__")),
        (AssignmentFence, ("admit",)),
    ]
    kept = [(place, name, inspect.getattr_static(place, name)) for place, names in places for name in names]
    yield
    for place, name, value in kept:
        setattr(place, name, value)


@pytest.fixture
def suite(sink: str, settings: AllSettings) -> Iterator[tuple[Any, Database]]:
    """Return the suite of a sink, and the database as the sink has it."""
    suite = _SUITES[sink]()
    database = Database(settings.conninfo(suite.sink.role, application_name="test"), size=2, schema=suite.sink.schema)
    database.open()
    yield suite, database
    database.close()


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize("safeguard", _TESTS)
@pytest.mark.parametrize("sink", SINKS)
def test_without_a_safeguard_a_test_of_each_sink_turns_red(
    suite: tuple[Any, Database], safeguard: str, settings: AllSettings
) -> None:
    of_the_sink, database = suite
    dead_letters = DeadLetterList()
    given = {
        "settings": settings,
        "sink_database": database,
        "dead_letters": dead_letters,
        "writer": SinkWriter(of_the_sink.sink, database, dead_letters, on_written=lambda: None),
        "point": "session.after_commit",
    }
    test = getattr(of_the_sink, _TESTS[safeguard])

    getattr(sabotage, safeguard)()

    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(**{parameter: given[parameter] for parameter in inspect.signature(test).parameters})
