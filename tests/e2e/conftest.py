"""The product's own processes on this test's database and brokers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyflow.settings import Settings
from tests.support import effects
from tests.support.processes import Processes


@pytest.fixture
def processes(environment: dict[str, str], tmp_path: Path) -> Iterator[Processes]:
    """Start processes that are stopped with the test."""
    with Processes(environment, tmp_path) as started:
        yield started


@pytest.fixture
def platform(queues: Settings, topics: Settings) -> Settings:
    """Return the settings of a migrated test: queues, topics and the table of effects are there."""
    assert queues is topics
    effects.create_table(queues)
    return queues
