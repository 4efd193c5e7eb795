"""What a unit test declares is forgotten with it."""

from collections.abc import Iterator

import pytest

from moneyflow.events import registry as events
from moneyflow.jobs import registry as jobs


@pytest.fixture
def contracts() -> Iterator[None]:
    """Put the registries back to what the product declares."""
    before = (dict(jobs), dict(events))
    yield
    for registry, kept in zip((jobs, events), before, strict=True):
        registry.clear()
        registry.update(kept)  # type: ignore[arg-type]
