"""Contracts as the API publishes them: the schema of each version of every event and job that may be stored or sent.

The schema of a version is made from its class. An earlier version has no class any more: `moneyflow contracts freeze`
keeps its schema in `earlier/`, next to the contracts, when the next one is declared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from moneyflow import events, jobs
from moneyflow.platform.events import system
from moneyflow.platform.events.contract import Event
from moneyflow.platform.jobs.contract import Job

assert system, "the import declares the platform's own events"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: The folders of the earlier schemas of events and of jobs, in their packages.
_EARLIER = "earlier"


@dataclass(frozen=True, kw_only=True)
class PublishedContract:
    """One version of an event or a job, and the JSON Schema of its data."""

    contract: type[Event] | type[Job]
    version: int
    schema: Mapping[str, Any]

    @property
    def type(self) -> str:
        """Return the type of the event, or the kind of the job."""
        return self.contract.payload_name

    @property
    def address(self) -> str:
        """Return where the schema is served; an event names it in its `dataschema`."""
        return f"/schemas/{self.type}/{self.version}"

    def document(self) -> dict[str, Any]:
        """Return the schema as it is served."""
        return {"$schema": _DIALECT, "$id": self.address, **self.schema, "title": self.type}


def published_contracts() -> list[PublishedContract]:
    """Return each version of every event and job."""
    contracts: list[type[Event | Job]] = [*events.registry.values(), *jobs.registry.values()]
    return [one for contract in contracts for one in _versions(contract)]


def _versions(contract: type[Event] | type[Job]) -> Iterator[PublishedContract]:
    for version in contract.upgrades:
        schema = _read(_folder(contract) / f"{contract.payload_name}.{version}.json")
        if schema is not None:
            text = f"Version {version}; what was stored or sent by it is read as version {contract.version}."
            yield PublishedContract(contract=contract, version=version, schema={**schema, "description": text})
    yield PublishedContract(contract=contract, version=contract.version, schema=contract.stored_schema())


def _folder(contract: type[Event] | type[Job]) -> Path:
    package = events if issubclass(contract, Event) else jobs
    return Path(package.__path__[0]) / _EARLIER


@cache
def _read(file: Path) -> Mapping[str, Any] | None:
    return orjson.loads(file.read_bytes()) if file.is_file() else None
