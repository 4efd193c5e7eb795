"""HubSpot's API for contacts, as far as the adapter uses it: upsert, read and archive in batches, and the list.

Its answers have the shapes of HubSpot's own models (`hubspot-api-client`), which a test holds it to.
"""

import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ops.dev.crm_double.store import Row, Store

#: HubSpot's limits of a private app: people in a batch, and requests in ten seconds.
BATCH, REQUESTS, IN_SECONDS = 100, 100, 10.0
_PREFIX = "/crm/v3/objects/contacts"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer of the double."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class HubSpotApi:
    """The API over the store; `refused` are people whom it refuses, each with the code."""

    def __init__(self, store: Store, *, token: str, requests: int = REQUESTS) -> None:
        self._store = store
        self._token = token
        self._requests = requests
        self._seen: deque[float] = deque()

    def handles(self, path: str) -> bool:
        """Return whether the path is HubSpot's."""
        return path.startswith(_PREFIX)

    def ids_of(self, body: Mapping[str, Any]) -> list[str]:
        """Return the client's ids of a request."""
        return [str(one.get("id")) for one in body.get("inputs", ())]

    def check(self, headers: Mapping[str, str]) -> Reply | None:
        """Return the refusal of a request without the token, or beyond the limit of ten seconds."""
        if headers.get("Authorization") != f"Bearer {self._token}":
            return Reply(status=401, body=error("INVALID_AUTHENTICATION", "Authentication credentials not found."))
        now = time.monotonic()
        while self._seen and self._seen[0] < now - IN_SECONDS:
            self._seen.popleft()
        if len(self._seen) >= self._requests:
            return limited("TEN_SECONDLY_ROLLING", seconds=max(1, round(IN_SECONDS - (now - self._seen[0]))))
        self._seen.append(now)
        return None

    def answer(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any], *, refused: str | None = None
    ) -> Reply:
        """Answer a request; `refused` is a person whom an upsert refuses."""
        match method, path.removeprefix(_PREFIX):
            case "POST", "/batch/upsert":
                return self._in_batch(body, lambda: self._upsert(body, refused))
            case "POST", "/batch/read":
                return self._in_batch(body, lambda: self._read(body))
            case "POST", "/batch/archive":
                return self._in_batch(body, lambda: self._archive(body))
            case "GET", "":
                return self._list(query)
        return Reply(status=404, body=error("OBJECT_NOT_FOUND", f"No service was found for {path}"))

    def _in_batch(self, body: Mapping[str, Any], act: Callable[[], Reply]) -> Reply:
        inputs = body.get("inputs")
        if not isinstance(inputs, list) or not inputs:
            return Reply(status=400, body=error("VALIDATION_ERROR", "Invalid input JSON: inputs is required"))
        if len(inputs) > BATCH:
            return Reply(status=400, body=error("VALIDATION_ERROR", f"The maximum batch size is {BATCH} inputs"))
        if len({one.get("id") for one in inputs}) < len(inputs):
            return Reply(status=400, body=error("VALIDATION_ERROR", "Duplicate IDs found in batch input"))
        with self._store.transaction():
            return act()

    def _upsert(self, body: Mapping[str, Any], refused: str | None) -> Reply:
        rows, errors = [], []
        for one in body["inputs"]:
            code = "INVALID_EMAIL" if one["id"] == refused else None
            holder = self._store.holder(one["properties"].get("email", ""))
            if holder and holder.external_id != one["id"]:
                code = "CONFLICT"
            if code:
                errors.append(_refusal(code, one))
                continue
            email = one["properties"].get("email", "").lower()
            row = self._store.put(one["id"], {**one["properties"], "email": email})
            rows.append({**_shown(row), "new": row.is_new, "objectWriteTraceId": one.get("objectWriteTraceId")})
        return _batch(rows, errors)

    def _read(self, body: Mapping[str, Any]) -> Reply:
        found = {one["id"]: self._store.find(one["id"]) for one in body["inputs"]}
        errors = [
            {
                "status": "error", "category": "OBJECT_NOT_FOUND", "context": {"ids": [id_]}, "links": {}, "errors": [],
                "message": f"Could not get contact objects, some are deleted or don't exist. ids: {id_}",
            }
            for id_, row in found.items() if row is None
        ]  # fmt: skip
        return _batch([_shown(row) for row in found.values() if row], errors)

    def _archive(self, body: Mapping[str, Any]) -> Reply:
        for one in body["inputs"]:
            self._store.archive(int(one["id"]))
        return Reply(status=204)

    def _list(self, query: Mapping[str, str]) -> Reply:
        limit = min(int(query.get("limit", "10")), BATCH)
        rows = self._store.page(after=int(query.get("after", "0")), limit=limit)
        paging = {"paging": {"next": {"after": str(rows[-1].id), "link": ""}}} if len(rows) == limit else {}
        return Reply(status=200, body={"results": [_shown(row) for row in rows], **paging})


def error(category: str, message: str, **more: Any) -> dict[str, Any]:
    """Return an error in HubSpot's shape."""
    return {"status": "error", "message": message, "correlationId": str(uuid.uuid4()), "category": category, **more}


def limited(policy: str, *, seconds: int | None) -> Reply:
    """Return a 429 of a policy; the daily one does not say how long."""
    body = {**error("RATE_LIMITS", "You have reached your limit."), "errorType": "RATE_LIMIT", "policyName": policy}
    return Reply(status=429, body=body, headers={"Retry-After": str(seconds)} if seconds is not None else {})


def refused_batch() -> Reply:
    """Return the 400 of a batch that does not say whom it is about but in a text."""
    return Reply(
        status=400,
        body=error(
            "VALIDATION_ERROR",
            'Property values were not valid: [{"isValid":false,"message":"Email address x@y is invalid"}]',
            errors=[{"message": "invalid", "code": "INVALID_EMAIL", "context": {"propertyName": ["email"]}}],
        ),
    )


def _refusal(code: str, one: Mapping[str, Any]) -> dict[str, Any]:
    email = one["properties"].get("email")
    return {
        "status": "error",
        "category": "CONFLICT" if code == "CONFLICT" else "VALIDATION_ERROR",
        "message": f"Contact with email {email} is refused",
        "context": {"objectWriteTraceId": [one.get("objectWriteTraceId") or one["id"]]},
        "errors": [{"message": f"{email} is refused", "code": code, "context": {"propertyName": ["email"]}}],
        "links": {},
    }


def _batch(rows: list[dict[str, Any]], errors: list[dict[str, Any]]) -> Reply:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = {"status": "COMPLETE", "results": rows, "startedAt": now, "completedAt": now}
    if errors:
        return Reply(status=207, body={**body, "numErrors": len(errors), "errors": errors})
    return Reply(status=200, body=body)


def _shown(row: Row) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "properties": dict(row.properties),
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
        "archived": row.archived,
    }
