"""What a unit test declares is forgotten with it."""

from collections.abc import Iterator

import pytest

from moneyflow.events import registry as events
from moneyflow.jobs import registry as jobs
from moneyflow.platform.jobs.schedules import registry as schedules


@pytest.fixture
def contracts() -> Iterator[None]:
    """Put the registries back to what the product declares."""
    before = (dict(jobs), dict(events), dict(schedules))
    yield
    for registry, kept in zip((jobs, events, schedules), before, strict=True):
        registry.clear()
        registry.update(kept)  # type: ignore[arg-type]
