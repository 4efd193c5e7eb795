"""The AsyncAPI document is one by AsyncAPI's own schema, which comes from its package of npm."""

from pathlib import Path
from typing import Any

import falcon.testing
import orjson
import pytest
from jsonschema import Draft7Validator
from rich.console import Console

from api.openapi.__main__ import app
from ops.dev.stack import packages


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """Return the schema of AsyncAPI 3.0.0."""
    modules = packages.node_modules(Console(stderr=True), Path(__file__).parent)
    file = modules / "@asyncapi/specs/schemas/3.0.0-without-$id.json"
    found: dict[str, Any] = orjson.loads(file.read_bytes())
    return found


def test_the_document_fits_the_schema_of_asyncapi_and_a_broken_one_does_not(schema: dict[str, Any]) -> None:
    document = falcon.testing.TestClient(app()).simulate_get("/asyncapi.json").json
    validator = Draft7Validator(schema)

    problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    assert problems == []
    for broken in ({**document, "channel": {}}, {**document, "operations": {"x": {"action": "publish"}}}):
        assert not validator.is_valid(broken)
