"""The sinks that are registered in the consumers, taken by name: `ops` imports no other process."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from moneyflow.platform.database import Session


class Sink(Protocol):
    """What the benchmark uses of a sink; `consumers/sink.py` has the contract."""

    name: str
    role: str
    schema: str
    topics: Sequence[str]

    def write(self, session: Session, records: Sequence[Any]) -> int:
        """Write records of one partition."""
        ...


def sinks() -> Mapping[str, Sink]:
    """Return the registered sinks by their names."""
    importlib.import_module("consumers.sinks")
    registry = importlib.import_module("consumers.sink").registry
    return {name: registry[name]() for name in sorted(registry)}


def record(**fields: Any) -> Any:
    """Return a record as the sinks get it."""
    return importlib.import_module("consumers.sink").Record(**fields)
