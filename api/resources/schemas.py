"""`/schemas/…`: the JSON Schema of every event's data and of every job's payload."""

from typing import Annotated, Any, Literal

import falcon
from pydantic import Field
from typing_extensions import TypedDict

from api.answers import send
from api.contracts import PublishedContract, published_contracts
from api.descriptions import describes
from api.guards import public
from api.resources.documents import constant
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.events.contract import Event


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
        """List the schemas of all events and jobs, of earlier versions too."""
        shown: SchemasView = {"items": [_shown(one) for one in published_contracts()], "next_cursor": None}
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
        for one in published_contracts():
            if (one.type, str(one.version)) == (type, version):
                send(request, response, constant(one.document()))
                return
        raise NotFoundError("there is no schema of this type and version; GET /schemas/ lists those that there are")


def _shown(one: PublishedContract) -> SchemaView:
    return {
        "type": one.type,
        "version": one.version,
        "of": "event" if issubclass(one.contract, Event) else "job",
        "topic": one.contract.topic if issubclass(one.contract, Event) else None,
        "schema": one.address,
    }
