"""The OpenAPI document: valid, complete, with examples that fit, and served so that clients need not read it twice."""

from collections.abc import Iterator
from typing import Any

import falcon.testing
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from api.app import create_app, wire
from api.descriptions import RawBody, description_of
from api.guards import Audience, audience_of
from api.openapi.__main__ import app as documented_app
from moneyflow.platform.database import Database
from moneyflow.settings import ApiSettings, load

_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


class _AnyId(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "0198f0a2-7c1e-7d3a-9b55-0c6a1f0e7d11"


_ANY_ID = _AnyId()


@pytest.fixture(scope="module")
def client() -> falcon.testing.TestClient:
    return falcon.testing.TestClient(documented_app())


@pytest.fixture(scope="module")
def document(client: falcon.testing.TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.simulate_get("/openapi.json").json
    return found


def _resource(app: falcon.App[falcon.Request, falcon.Response], path: str) -> object:
    node = app._router.find(path.format_map(_ANY_ID))
    assert node is not None
    return node[0]


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in item.keys() & _METHODS:
            yield f"{method.upper()} {path}", item[method]


def _resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    found: Any = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def _contents(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Yield each JSON content with its schema and an example."""
    for name, operation in _operations(document):
        parts = [operation.get("requestBody", {}), *operation["responses"].values()]
        for part in (_resolved(document, part) for part in parts):
            for media_type, content in part.get("content", {}).items():
                if "json" in media_type:
                    examples = [content["example"]] if "example" in content else []
                    examples += [example["value"] for example in content.get("examples", {}).values()]
                    assert examples, f"{name}: {media_type} has no example"
                    yield from ((name, content["schema"], example) for example in examples)


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    validate(document)

    assert document["openapi"] == "3.1.0"


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    contents = list(_contents(document))

    assert len(contents) > 50
    for name, schema, example in contents:
        problems = list(Draft202012Validator({**schema, "components": document["components"]}).iter_errors(example))
        assert problems == [], f"{name}: {example}"


def test_every_example_of_a_body_is_taken_by_the_model_that_validates_it(document: dict[str, Any]) -> None:
    app = documented_app()
    bodies = {name: operation["requestBody"] for name, operation in _operations(document) if "requestBody" in operation}

    for name, body in bodies.items():
        method, path = name.split()
        description = description_of(_resource(app, path), method)
        assert description is not None
        if isinstance(description.body, RawBody):
            assert body["content"].keys() == set(description.body.media_types)
            continue
        assert description.body is not None
        assert description.body.model_validate(body["content"][description.media_type]["example"])
    assert len(bodies) > 5


def test_every_error_of_every_operation_has_its_problem_type(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        answers = {status: _resolved(document, part) for status, part in operation["responses"].items()}
        problems = {
            status: part for status, part in answers.items() if "application/problem+json" in part.get("content", {})
        }
        assert problems.keys() >= {"400", "500"}, name
        for part in problems.values():
            schema = part["content"]["application/problem+json"]["schema"]["allOf"][1]
            assert all(type_.startswith("/docs/problems#") for type_ in schema["properties"]["type"]["enum"])
        for status in problems.keys() & {"429", "503"}:
            assert "Retry-After" in problems[status]["headers"]


def test_what_an_operation_requires_is_what_its_guard_requires(document: dict[str, Any]) -> None:
    app = documented_app()

    for name, operation in _operations(document):
        method, path = name.split()
        audience = audience_of(_resource(app, path), method)
        if audience is Audience.PUBLIC:
            assert operation["security"] == [], name
        else:
            by_cookie: dict[str, list[str]] = {"cookie": []} if method == "GET" else {"cookie": [], "csrf": []}
            anonymous: list[dict[str, list[str]]] = [{}] if audience is Audience.OPTIONALLY_SIGNED_IN else []
            assert operation["security"] == [*anonymous, {"bearer": []}, by_cookie], name
            assert "401" in operation["responses"]


def test_the_headers_of_conditional_limited_and_repeatable_requests_are_described(document: dict[str, Any]) -> None:
    paths = document["paths"]

    def sent(operation: dict[str, Any]) -> set[str]:
        return {_resolved(document, part)["name"] for part in operation["parameters"]}

    sign_up, read, change = paths["/v1/users"]["post"], paths["/v1/users/me"]["get"], paths["/v1/users/me"]["patch"]
    assert sent(sign_up) >= {"Idempotency-Key", "X-Request-Id"}
    assert sign_up["responses"]["202"]["headers"].keys() >= {"Location", "RateLimit-Remaining"}
    assert sent(read) >= {"If-None-Match"}
    assert "ETag" in read["responses"]["304"]["headers"]
    assert sent(change) >= {"If-Match"}
    assert change["responses"].keys() >= {"412", "428"}


def test_the_document_is_cached_and_read_again_only_when_it_has_changed(client: falcon.testing.TestClient) -> None:
    first = client.simulate_get("/openapi.json")
    again = client.simulate_get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert (first.status_code, first.headers["content-type"]) == (200, "application/json")
    assert first.headers["Cache-Control"] == "public, max-age=300"
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])


def test_a_responder_without_a_description_keeps_the_application_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("api.resources.me.Me.on_get.description")
    settings = load(ApiSettings, {"SECRET_KEY": "a key for tests, of more than 32 characters"})

    with pytest.raises(TypeError, match=r"GET /v1/users/me: describe its responder with @describes\(…\)"):
        create_app(wire(settings, Database("", size=1)))
