"""`/schemas/…`: the JSON Schema of every event's data and of every job's payload."""

from typing import Annotated, Any, Literal

import falcon
from pydantic import Field
from typing_extensions import TypedDict

from api.answers import send
from api.descriptions import describes
from api.guards import public
from api.resources.documents import constant
from moneyflow import events, jobs
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.events import system
from moneyflow.platform.events.contract import Event
from moneyflow.platform.jobs.contract import Job

assert system, "the import declares the platform's own events"

Contract = type[Event] | type[Job]


class SchemaView(TypedDict):
    """A contract and where its schema is; `topic` is the Kafka topic of an event."""

    type: Annotated[str, Field(examples=["user.created"])]
    version: int
    of: Literal["event", "job"]
    topic: Annotated[str | None, Field(examples=["user.events"])]
    schema: Annotated[str, Field(examples=["/schemas/user.created/1"])]


class SchemasView(TypedDict):
    """All schemas, on one page."""

    items: list[SchemaView]
    next_cursor: None


class Schemas:
    """The index of the schemas."""

    @public
    @describes("list_schemas", answers={200: SchemasView}, etag=True, local=True)
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the schemas of all events and jobs."""
        shown: SchemasView = {"items": [_shown(contract) for contract in _contracts()], "next_cursor": None}
        send(request, response, constant(shown))


class Schema:
    """The schema of one version of an event or a job."""

    @public
    @describes(
        "read_schema",
        answers={200: dict[str, Any]},
        parameters={
            "type": Annotated[str, Field(description="A type of events or a kind of jobs.", examples=["user.created"])],
            "version": Annotated[int, Field(ge=1, examples=[1])],
        },
        etag=True,
        local=True,
    )
    def on_get(self, request: falcon.Request, response: falcon.Response, type: str, version: str) -> None:
        """Return the JSON Schema of an event's data, to which its `dataschema` leads, or of a job's payload."""
        for contract in _contracts():
            if (contract.payload_name, str(contract.version)) == (type, version):
                send(request, response, constant(_schema(contract)))
                return
        raise NotFoundError("there is no schema of this type and version; GET /schemas/ lists those that there are")


def _contracts() -> list[Contract]:
    return [*events.registry.values(), *jobs.registry.values()]


def _shown(contract: Contract) -> SchemaView:
    return {
        "type": contract.payload_name,
        "version": contract.version,
        "of": "event" if issubclass(contract, Event) else "job",
        "topic": contract.topic if issubclass(contract, Event) else None,
        "schema": _address(contract),
    }


def _schema(contract: Contract) -> dict[str, Any]:
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "$id": _address(contract), **contract.stored_schema(), "title": contract.payload_name}


def _address(contract: Contract) -> str:
    return f"/schemas/{contract.payload_name}/{contract.version}"
