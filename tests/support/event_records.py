"""Records of Kafka with an event, as the tests of sinks need them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from consumers.sink import Record
from moneyflow.platform.events.contract import Event
from moneyflow.platform.samples import sample
from moneyflow.platform.telemetry.origin import Origin

#: When every event of the tests was emitted.
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def record_of(contract: type[Event], *, offset: int, time: datetime = MOMENT, **data: Any) -> Record:
    """Return the record of an event: its id is the offset, its data a sample of the contract, except for `data`."""
    fields = {**sample(contract.model_json_schema()), **data}
    event = contract.model_validate_json(orjson.dumps(fields))
    value = event.envelope(event_id=UUID(int=offset), source="/money-flow/test", origin=Origin(), time=time)
    return Record(topic=contract.topic, partition=0, offset=offset, key=event.key().encode(), value=value)


def bad_record(contract: type[Event], *, offset: int) -> Record:
    """Return a record of the same topic that is no event at all."""
    return Record(topic=contract.topic, partition=0, offset=offset, key=b"key", value=b"no envelope")
