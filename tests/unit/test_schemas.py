"""`/schemas/…`: the schema of every event and job, as the contracts declare it."""

from pathlib import Path
from typing import Any

import falcon.testing
import orjson
import pytest
from jsonschema import Draft202012Validator

from api.openapi.__main__ import app
from moneyflow.events import registry as events
from moneyflow.jobs import registry as jobs
from ops.dev.contracts import frozen, samples

_FROZEN = sorted((Path(__file__).parents[2] / frozen.FOLDER).glob("*/*.json"))


@pytest.fixture(scope="module")
def client() -> falcon.testing.TestClient:
    return falcon.testing.TestClient(app())


def _index(client: falcon.testing.TestClient) -> dict[str, Any]:
    return {item["type"]: item for item in client.simulate_get("/schemas/").json["items"]}


def test_the_index_has_every_event_and_every_job(client: falcon.testing.TestClient) -> None:
    index = _index(client)

    product = {name for name, one in (events | jobs).items() if one.__module__.startswith("moneyflow.")}
    assert product <= index.keys()
    assert index["user.created"] == {
        "type": "user.created", "version": 1, "of": "event", "topic": "user.events",
        "schema": "/schemas/user.created/1",
    }  # fmt: skip
    assert (index["send_email"]["of"], index["send_email"]["topic"]) == ("job", None)


def test_every_schema_is_json_schema_with_its_own_address(client: falcon.testing.TestClient) -> None:
    product = {name for name, one in (events | jobs).items() if one.__module__.startswith("moneyflow.")}
    for item in (item for name, item in _index(client).items() if name in product):
        schema = client.simulate_get(item["schema"])
        Draft202012Validator.check_schema(schema.json)
        assert schema.json["$id"] == item["schema"]
        assert schema.json["description"]
        again = client.simulate_get(item["schema"], headers={"If-None-Match": schema.headers["ETag"]})
        assert again.status_code == 304


@pytest.mark.parametrize("file", _FROZEN, ids=lambda file: file.stem)
def test_every_version_that_may_be_stored_has_its_schema_which_fits_the_frozen_example(
    client: falcon.testing.TestClient, file: Path
) -> None:
    name, _, version = file.stem.rpartition(".")

    schema = client.simulate_get(f"/schemas/{name}/{version}")

    assert schema.status_code == 200
    for example in _examples(file):
        Draft202012Validator(schema.json).validate(example)


def _examples(file: Path) -> list[Any]:
    sample = samples.path_of(file)
    if sample.exists():
        return [orjson.loads(sample.read_bytes())["data"]]
    return list(orjson.loads(file.read_bytes())["examples"])


def test_the_schema_to_which_an_event_of_an_earlier_version_leads_is_served_without_its_class(
    client: falcon.testing.TestClient,
) -> None:
    first, second = (client.simulate_get(f"/schemas/system.warning/{version}").json for version in (1, 2))

    assert second["properties"].keys() - first["properties"].keys() == {"count", "since"}
    assert (first["$id"], first["title"]) == ("/schemas/system.warning/1", "system.warning")
    addresses = [item["schema"] for item in client.simulate_get("/schemas/").json["items"]]
    assert {"/schemas/system.warning/1", "/schemas/system.warning/2"} <= set(addresses)
    assert len(addresses) == len(set(addresses))


def test_the_sequence_is_in_the_envelope_and_not_in_the_data(client: falcon.testing.TestClient) -> None:
    schema = client.simulate_get("/schemas/user.created/1").json

    assert schema["properties"].keys() == {"user_id", "created_at"}
    assert schema["required"] == ["created_at", "user_id"]


@pytest.mark.parametrize("path", ["user.created/2", "user.created/0", "user.created/01", "nothing/1", "user.created/x"])
def test_a_schema_that_there_is_not_is_not_found_and_says_where_all_are(
    client: falcon.testing.TestClient, path: str
) -> None:
    answer = client.simulate_get(f"/schemas/{path}")

    assert answer.status_code == 404
    assert "GET /schemas/ lists" in answer.json["detail"]
