"""`/asyncapi.json`: every topic and queue, as the product declares them and as its messages are.

`tests/frontend/test_asyncapi.py` holds the document to AsyncAPI's own schema.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import falcon.testing
import orjson
import pytest
from jsonschema import Draft7Validator

from api.openapi.__main__ import app
from moneyflow.events import registry
from moneyflow.jobs import registry as jobs
from moneyflow.platform.brokers.job_message import dead_letter_message, job_message
from moneyflow.platform.events.topics import all_topics

_SAMPLES = sorted((Path(__file__).parents[2] / "tests/contracts/events/samples").glob("*.json"))
_ENQUEUED = datetime(2026, 1, 2, tzinfo=UTC)
_JOB = {"id": UUID(int=7), "kind": "send_email", "priority": 5, "enqueued_at": _ENQUEUED, "traceparent": None}
_FAILURE = {
    "error_class": "ValueError", "error_message": "no", "error_traceback": None, "attempt": 3, "ended_at": _ENQUEUED,
    "worker": "host:1", "fence": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = falcon.testing.TestClient(app()).simulate_get("/asyncapi.json").json
    return found


def _validator(document: dict[str, Any], part: dict[str, Any]) -> Draft7Validator:
    """Return the validator of a schema within the document."""
    whole = {**part, "components": document["components"]}
    return Draft7Validator(whole, format_checker=Draft7Validator.FORMAT_CHECKER)


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from [part["$ref"]] if isinstance(part.get("$ref"), str) else []
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _references(inner)


def test_every_reference_leads_to_a_part_of_the_document(document: dict[str, Any]) -> None:
    for reference in _references(document):
        part: Any = document
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
        assert part


def test_every_topic_is_a_channel_with_its_key_and_every_version_of_its_events(document: dict[str, Any]) -> None:
    channels = document["channels"]
    product = {type: one for type, one in registry.items() if one.__module__.startswith("moneyflow.")}

    assert set(all_topics()) <= channels.keys()
    for type, contract in product.items():
        for version in (*contract.upgrades, contract.version):
            assert f"{type}.{version}" in channels[contract.topic]["messages"]
            message = document["components"]["messages"][f"{type}.{version}"]
            assert contract.key_field in message["bindings"]["kafka"]["key"]["description"]
    assert channels["user.events"]["bindings"]["kafka"]["partitions"] == 3


def test_the_queues_are_bound_as_the_migration_declares_them(document: dict[str, Any]) -> None:
    queues = {name: document["channels"][f"queue.{name}"] for name in ("jobs", "jobs_failed")}

    assert queues["jobs"]["bindings"]["amqp"]["queue"]["x-arguments"] == {
        "x-max-priority": 10, "x-dead-letter-exchange": "jobs.dead",
    }  # fmt: skip
    assert queues["jobs"]["x-bindings"] == [{"exchange": "jobs", "routingKey": "jobs"}]
    assert queues["jobs_failed"]["x-bindings"] == [{"exchange": "jobs.dead", "routingKey": ""}]
    assert document["channels"]["exchange.jobs.dead"]["bindings"]["amqp"]["exchange"]["type"] == "fanout"


@pytest.mark.parametrize("file", _SAMPLES, ids=lambda file: file.stem)
def test_what_producers_send_fits_the_message_of_its_version_and_no_other(file: Path, document: dict[str, Any]) -> None:
    sample = orjson.loads(file.read_bytes())
    messages = document["components"]["messages"]
    events = {name: message for name, message in messages.items() if "dead_letter" not in name and name != "job"}

    fits = [name for name, message in events.items() if _validator(document, message["payload"]).is_valid(sample)]

    assert fits == [file.stem]


def test_the_messages_of_a_job_and_of_its_dead_letter_fit(document: dict[str, Any]) -> None:
    sent = {"job": job_message(_JOB), "dead_letter_of_a_job": dead_letter_message({**_JOB, **_FAILURE})}

    for name, outgoing in sent.items():
        message = document["components"]["messages"][name]
        _validator(document, message["payload"]).validate(orjson.loads(outgoing.body))
        _validator(document, message["headers"]).validate(outgoing.properties.headers)
        assert set(outgoing.properties.headers) <= set(message["headers"]["properties"])
    assert set(document["components"]["schemas"]["job_message"]["properties"]["actor_name"]["enum"]) >= {
        kind for kind, one in jobs.items() if one.__module__.startswith("moneyflow.")
    }


def test_a_client_keeps_the_document_and_asks_by_its_etag() -> None:
    client = falcon.testing.TestClient(app())
    first = client.simulate_get("/asyncapi.json")

    again = client.simulate_get("/asyncapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, first.headers["Cache-Control"]) == (304, "public, max-age=300")
