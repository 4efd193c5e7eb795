"""What a unit test declares is forgotten with it."""

from collections.abc import Iterator
from typing import Any

import pytest

from moneyflow.events import registry as events
from moneyflow.jobs import registry as jobs
from moneyflow.platform.jobs.schedules import registry as schedules


@pytest.fixture
def contracts() -> Iterator[None]:
    """Put the registries back to what the product declares."""
    registries: list[dict[str, Any]] = [jobs, events, schedules]
    before = [dict(registry) for registry in registries]
    yield
    for registry, kept in zip(registries, before, strict=True):
        registry.clear()
        registry.update(kept)
