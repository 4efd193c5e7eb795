"""The frozen OpenAPI document: what breaks a client is refused with what to do, what adds to it asks for a freeze."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moneyflow.platform.errors import ConflictError
from ops.dev.contracts import document
from ops.dev.contracts.http_changes import breaking_changes

_ROOT = Path(__file__).parents[2]
_BODY: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["email"],
    "properties": {
        "email": {"type": "string", "maxLength": 254},
        "age": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
        "transport": {"type": "string", "enum": ["cookie", "bearer"], "default": "cookie"},
        "size": {"type": "number"},
        "any": {"type": "array"},
        "map": {"type": "object"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
_VIEW: dict[str, Any] = {
    "type": "object",
    "required": ["id", "state"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "state": {"type": "string", "enum": ["open", "ended"]},
        "note": {"type": "string"},
        "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
    },
}
_DOCUMENT: dict[str, Any] = {
    "paths": {
        "/v1/things": {
            "post": {
                "parameters": [
                    {"in": "header", "name": "Idempotency-Key", "required": False, "schema": {"type": "string"}},
                    {"$ref": "#/components/parameters/Wait"},
                ],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}}},
                "responses": {
                    "201": {
                        "headers": {"ETag": {}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/View"}}},
                    },
                    "404": {"$ref": "#/components/responses/NotFound"},
                },
                "security": [{"bearer": []}, {"cookie": [], "csrf": []}],
            },
            "get": {"parameters": [], "responses": {"200": {}}, "security": []},
        }
    },
    "components": {
        "schemas": {
            "Body": _BODY,
            "View": _VIEW,
            "Item": {"type": "object", "required": ["done"], "properties": {"done": {"type": "boolean"}}},
        },
        "parameters": {
            "Wait": {
                "in": "query", "name": "wait", "required": False,
                "schema": {"type": "integer", "maximum": 20, "default": 0},
            }
        },
        "responses": {"NotFound": {"content": {"application/problem+json": {}}}},
    },
}  # fmt: skip

Change = Callable[[dict[str, Any]], object]


def _post(changed: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = changed["paths"]["/v1/things"]["post"]
    return found


def _schema(changed: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = changed["components"]["schemas"][name]
    return found


def _body(changed: dict[str, Any]) -> dict[str, Any]:
    return dict(_schema(changed, "Body")["properties"])


def _view(changed: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = _schema(changed, "View")["properties"]
    return found


def _changed(change: Change) -> dict[str, Any]:
    changed = copy.deepcopy(_DOCUMENT)
    change(changed)
    return changed


_BREAKING: dict[str, tuple[Change, str]] = {
    "a route removed": (lambda d: d["paths"].pop("/v1/things"), "/v1/things was removed"),
    "a method removed": (lambda d: d["paths"]["/v1/things"].pop("get"), "GET /v1/things was removed"),
    "a status removed": (lambda d: _post(d)["responses"].pop("404"), "POST /v1/things no longer answers 404"),
    "a header of an answer removed": (
        lambda d: _post(d)["responses"]["201"]["headers"].pop("ETag"),
        "POST /v1/things: the answer 201 lost the header ETag",
    ),
    "another media type": (
        lambda d: d["components"]["responses"]["NotFound"].update(content={"text/plain": {}}),
        "POST /v1/things: the answer 404 is no longer application/problem+json",
    ),
    "a member of an answer removed": (
        lambda d: _view(d).pop("note"),
        "POST /v1/things: the answer 201/note was removed",
    ),
    "a member of an answer that may be missing": (
        lambda d: _schema(d, "View").update(required=["state"]),
        "POST /v1/things: the answer 201/id is no longer always there",
    ),
    "a member of an answer that may be null": (
        lambda d: _view(d).update(note={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        "POST /v1/things: the answer 201/note may now be null",
    ),
    "another type of an answer": (
        lambda d: _view(d).update(note={"type": "integer"}),
        "POST /v1/things: the answer 201/note may now be integer",
    ),
    "another format of an answer": (
        lambda d: _view(d).update(id={"type": "string"}),
        "POST /v1/things: the answer 201/id has another format",
    ),
    "a value of an answer removed": (
        lambda d: _view(d)["state"].update(enum=["open"]),
        "POST /v1/things: the answer 201/state lost the value 'ended'",
    ),
    "a nested member of an answer removed": (
        lambda d: _schema(d, "Item").update(properties={}, required=[]),
        "POST /v1/things: the answer 201/items[]/done was removed",
    ),
    "a member of a body removed": (
        lambda d: _schema(d, "Body")["properties"].pop("tags"),
        "POST /v1/things: the body/tags was removed",
    ),
    "a new required member of a body": (
        lambda d: _schema(d, "Body").update(required=["email", "name"], properties=_body(d) | {"name": {}}),
        "POST /v1/things: the body/name is required",
    ),
    "an optional member of a body that is required": (
        lambda d: _schema(d, "Body").update(required=["email", "tags"]),
        "POST /v1/things: the body/tags is required",
    ),
    "a value of a body removed": (
        lambda d: _body(d)["transport"].update(enum=["cookie"]),
        "POST /v1/things: the body/transport lost the value 'bearer'",
    ),
    "a member of a body with fewer values": (
        lambda d: _body(d)["email"].update(enum=["a@b.example"]),
        "POST /v1/things: the body/email takes only 'a@b.example'",
    ),
    "a shorter text": (
        lambda d: _body(d)["email"].update(maxLength=100),
        "POST /v1/things: the body/email has a lower maxLength: 100",
    ),
    "a longer text": (
        lambda d: _body(d)["email"].update(minLength=8),
        "POST /v1/things: the body/email has a higher minLength: 8",
    ),
    "a pattern": (
        lambda d: _body(d)["email"].update(pattern="@"),
        "POST /v1/things: the body/email has another pattern: @",
    ),
    "a new lowest number": (
        lambda d: _body(d)["size"].update(minimum=0),
        "POST /v1/things: the body/size has a higher minimum: 0",
    ),
    "a new lowest number that is not taken itself": (
        lambda d: _body(d)["size"].update(exclusiveMinimum=0),
        "POST /v1/things: the body/size has a higher exclusiveMinimum: 0",
    ),
    "a new highest number": (
        lambda d: _body(d)["size"].update(exclusiveMaximum=0),
        "POST /v1/things: the body/size has a lower exclusiveMaximum: 0",
    ),
    "another default of a member": (
        lambda d: _body(d)["transport"].update(default="bearer"),
        "POST /v1/things: the body/transport has another default: 'bearer'",
    ),
    "a default removed": (
        lambda d: _body(d)["transport"].pop("default"),
        "POST /v1/things: the body/transport has another default: 'none'",
    ),
    "another default of a parameter": (
        lambda d: d["components"]["parameters"]["Wait"]["schema"].update(default=5),
        "POST /v1/things: the query parameter wait has another default: 5",
    ),
    "items of a body that were any": (
        lambda d: _body(d)["any"].update(items={"type": "string"}),
        "POST /v1/things: the body/any[] takes only string",
    ),
    "members of a body that were any": (
        lambda d: _body(d)["map"].update(additionalProperties={"type": "string"}),
        "POST /v1/things: the body/map[] takes only string",
    ),
    "items of an answer that may be any": (
        lambda d: _view(d)["items"].pop("items"),
        "POST /v1/things: the answer 201/items[] may now be of any type",
    ),
    "values of an answer that may be any": (
        lambda d: _view(d)["state"].pop("enum"),
        "POST /v1/things: the answer 201/state may now have any value",
    ),
    "a body that is required": (
        lambda d: _post(d)["requestBody"].update(required=True),
        "POST /v1/things: the body is required",
    ),
    "a narrowed type of a body": (
        lambda d: _body(d)["age"].update(anyOf=[{"type": "integer", "minimum": 0}]),
        "POST /v1/things: the body/age no longer takes null",
    ),
    "another type of a body": (
        lambda d: _body(d)["tags"]["items"].update(type="integer"),
        "POST /v1/things: the body/tags[] no longer takes string",
    ),
    "a body of an operation that took none": (
        lambda d: d["paths"]["/v1/things"]["get"].update(requestBody={"content": {}}),
        "GET /v1/things takes a body",
    ),
    "a new required parameter": (
        lambda d: _post(d)["parameters"].append({"in": "header", "name": "If-Match", "required": True, "schema": {}}),
        "POST /v1/things: the header parameter If-Match is required",
    ),
    "a parameter that is required": (
        lambda d: _post(d)["parameters"][0].update(required=True),
        "POST /v1/things: the header parameter Idempotency-Key is required",
    ),
    "a parameter removed": (
        lambda d: _post(d)["parameters"].pop(),
        "POST /v1/things: the query parameter wait was removed",
    ),
    "a lower maximum of a parameter": (
        lambda d: d["components"]["parameters"]["Wait"]["schema"].update(maximum=10),
        "POST /v1/things: the query parameter wait has a lower maximum: 10",
    ),
    "a public operation that needs a session": (
        lambda d: d["paths"]["/v1/things"]["get"].update(security=[{"bearer": []}]),
        "GET /v1/things is no longer public",
    ),
    "a way to sign in removed": (
        lambda d: _post(d).update(security=[{"bearer": []}]),
        "POST /v1/things is no longer called with cookie and csrf",
    ),
}

_ADDITIVE: dict[str, Change] = {
    "a route": lambda d: d["paths"].update({"/v1/others": {}}),
    "a method": lambda d: d["paths"]["/v1/things"].update(delete={"responses": {}}),
    "a status": lambda d: _post(d)["responses"].update({"409": {}}),
    "a header of an answer": lambda d: _post(d)["responses"]["201"]["headers"].update({"Location": {}}),
    "a member of an answer": lambda d: _view(d).update(total={"type": "integer"}),
    "a value of an answer": lambda d: _view(d)["state"].update(enum=["open", "ended", "cancelled"]),
    "an answer's member that is always there": lambda d: _schema(d, "View").update(required=["id", "note", "state"]),
    "an optional member of a body": lambda d: _schema(d, "Body").update(properties=_body(d) | {"name": {}}),
    "a required member of a body that is optional": lambda d: _schema(d, "Body").update(required=[]),
    "a value of a body": lambda d: _body(d)["transport"].update(enum=["cookie", "bearer", "other"]),
    "a lower minimum": lambda d: _body(d)["age"]["anyOf"][0].update(minimum=-1),
    "no minimum": lambda d: _body(d)["age"]["anyOf"][0].pop("minimum"),
    "items of a body that are any": lambda d: _body(d)["tags"].pop("items"),
    "a longer maximum": lambda d: _body(d)["email"].update(maxLength=300),
    "a wider type of a body": lambda d: _body(d)["tags"]["items"].update(type=["string", "integer"]),
    "an optional parameter": lambda d: _post(d)["parameters"].append(
        {"in": "query", "name": "limit", "required": False, "schema": {}}
    ),
    "an operation that is public now": lambda d: _post(d).update(security=[]),
    "another name of a component": lambda d: (
        d["components"]["schemas"].update(Other=_schema(d, "Item")),
        _view(d)["items"].update(items={"$ref": "#/components/schemas/Other"}),
    ),
}


@pytest.mark.parametrize(("change", "text"), _BREAKING.values(), ids=_BREAKING)
def test_a_change_that_breaks_a_client_is_refused_with_what_to_do(tmp_path: Path, change: Change, text: str) -> None:
    document.freeze(tmp_path, _DOCUMENT)
    changed = _changed(change)

    (problem,) = [str(problem) for problem in document.check(tmp_path, changed)]

    assert problem.startswith(f"openapi: {text}. Clients that use it would fail: keep it as it was")
    assert list(document.notices(tmp_path, changed)) == []
    assert document.freeze(tmp_path, changed) == []
    assert document.freeze(tmp_path, changed, overwrite=True) == [document.FILE]
    assert list(document.check(tmp_path, changed)) == []


@pytest.mark.parametrize("change", _ADDITIVE.values(), ids=_ADDITIVE)
def test_a_change_that_adds_passes_and_asks_for_a_freeze(tmp_path: Path, change: Change) -> None:
    document.freeze(tmp_path, _DOCUMENT)
    changed = _changed(change)

    (notice,) = document.notices(tmp_path, changed)

    assert list(document.check(tmp_path, changed)) == []
    assert "Run `moneyflow contracts freeze`" in notice
    assert document.freeze(tmp_path, changed) == [document.FILE]
    assert list(document.notices(tmp_path, changed)) == []


def test_a_document_that_was_never_frozen_is_a_problem_until_it_is(tmp_path: Path) -> None:
    (problem,) = document.check(tmp_path, _DOCUMENT)

    assert "Run `moneyflow contracts freeze`, and commit tests/contracts/openapi.json" in str(problem)
    assert document.freeze(tmp_path, _DOCUMENT) == [document.FILE]
    assert document.freeze(tmp_path, _DOCUMENT) == []
    assert list(document.check(tmp_path, _DOCUMENT)) == []


def test_the_document_of_the_product_is_frozen_and_texts_are_no_part_of_it() -> None:
    current = document.current(_ROOT)

    assert list(document.check(_ROOT, current)) == []
    assert "summary" not in current["paths"]["/v1/users"]["post"]
    assert "title" in current["components"]["schemas"]["Problem"]["properties"]


def test_an_application_that_does_not_start_is_one_line_with_the_reason(tmp_path: Path) -> None:
    module = tmp_path / "api" / "openapi" / "__main__.py"
    module.parent.mkdir(parents=True)
    for package in (module.parent, module.parent.parent):
        (package / "__init__.py").touch()
    module.write_text("raise TypeError('GET /v1/x: describe its responder')", encoding="utf-8")

    with pytest.raises(ConflictError, match=r"^the OpenAPI document cannot be made: TypeError: GET /v1/x: describe"):
        document.current(tmp_path)


def test_a_removed_member_of_a_real_answer_breaks_it() -> None:
    current = document.current(_ROOT)
    changed = copy.deepcopy(dict(current))
    sessions = changed["components"]["schemas"]["OwnSessionView"]
    del sessions["properties"]["client"]
    sessions["required"].remove("client")

    (change,) = breaking_changes(current, changed)
    assert change == "GET /v1/sessions: the answer 200/items[]/client was removed"
