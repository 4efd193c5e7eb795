"""The document: every operation, and the components that they share."""

import sys
from collections.abc import Sequence
from typing import Any

from api.guards import CSRF_HEADER
from api.openapi import errors
from api.openapi.operations import Operation
from api.openapi.schemas import Schemas
from api.problems import Problem

#: OpenAPI's version; its schemas are JSON Schema 2020-12.
_OPENAPI = "3.1.0"
_INFORMATION = {
    "title": "Money Flow",
    "version": "1",
    "description": (
        "Sign in by `POST /v1/sessions`, with a session cookie or with a bearer token. Every error is a problem "
        "(RFC 9457): programs distinguish it by its `type`. What takes long is answered with 202, and its job is at "
        "`Location`. More members may be added to any answer."
    ),
}
_TEXT = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 0}
_HEADERS = {
    "X-Request-Id": ("The id of the request, as it was sent or made here; logs, jobs and events have it.", _TEXT),
    "Location": ("The address of the job that does the work.", {"type": "string", "format": "uri-reference"}),
    "ETag": ("The state that was read: for `If-None-Match` of the next read, and `If-Match` of a change.", _TEXT),
    "Retry-After": ("Seconds to wait before the request is repeated.", _NUMBER),
    "WWW-Authenticate": ("How to sign in.", _TEXT),
    "RateLimit-Limit": ("Requests that are allowed in a window.", _NUMBER),
    "RateLimit-Remaining": ("Requests that are left in this window.", _NUMBER),
    "RateLimit-Reset": ("Seconds until the window ends.", _NUMBER),
}
_REQUEST_HEADERS = {
    "RequestId": ("X-Request-Id", False, "An id for this request; else one is made.", "checkout-1f6d"),
    "IdempotencyKey": (
        "Idempotency-Key",
        False,
        "1 to 255 visible ASCII characters, such as a UUID. A repeated request gets the first answer, for two days.",
        "5d0c1e6e-53cd-4d63-8f0e-4c2d3a0f7f10",
    ),
    "IfMatch": ("If-Match", True, "The `ETag` of the last read, so that no change of another is overwritten.", '"1"'),
    "IfNoneMatch": ("If-None-Match", False, "The `ETag` of the last read: 304 when it has not changed.", '"1"'),
}
_SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": 'The `token` of a session with `"transport": "bearer"`.',
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-session",
        "description": "The cookie of a session; in development, over http to this machine, it is named `session`.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": "Any value. A request by cookie that changes something needs it.",
    },
}


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the OpenAPI document of these operations."""
    problem: dict[str, Any] = {"Problem": (Problem, "serialization")}
    schemas = Schemas(problem | dict(pair for operation in operations for pair in operation.types()))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = operation.written(schemas)
    return {
        "openapi": _OPENAPI,
        "info": _INFORMATION,
        "servers": [{"url": "/"}],
        "tags": _tags(operations),
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": _responses(operations),
            "headers": {name: {"description": text, "schema": schema} for name, (text, schema) in _HEADERS.items()},
            "parameters": _parameters(),
            "securitySchemes": _SECURITY,
        },
    }


def _tags(operations: Sequence[Operation]) -> list[dict[str, str]]:
    """Return the tags, each with the first line of its module."""
    modules = {operation.tag: sys.modules[type(operation.resource).__module__] for operation in operations}
    return [{"name": tag, "description": (module.__doc__ or "").partition("\n")[0]} for tag, module in modules.items()]


def _responses(operations: Sequence[Operation]) -> dict[str, Any]:
    kinds = [found for operation in operations for found in operation.problems().values()]
    return {errors.response_name(of_status): errors.response(of_status) for of_status in kinds}


def _parameters() -> dict[str, Any]:
    return {
        name: {
            "name": header, "in": "header", "required": required, "description": text, "schema": _TEXT,
            "example": example,
        }
        for name, (header, required, text, example) in _REQUEST_HEADERS.items()
    }  # fmt: skip
