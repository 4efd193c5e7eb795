"""`/openapi.json` and `/asyncapi.json`: the documents for programs."""

import hashlib
from collections.abc import Sequence
from typing import Any

import falcon

from api import asyncapi
from api.answers import send
from api.descriptions import describes
from api.guards import public
from api.openapi import Operation, document
from moneyflow.platform.http.answers import Answer, json_answer

#: A client may keep it for five minutes, and then asks by its ETag: it changes with a deployment only.
CACHED = "public, max-age=300"


class OpenApi:
    """The OpenAPI document."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        self._answer: Answer | None = None

    @public
    @describes("read_openapi", answers={200: dict[str, Any]}, etag=True, local=True)
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Return the OpenAPI 3.1 document of this API."""
        if self._answer is None:  # Once all routes are there; threads that come here together make the same one.
            self._answer = constant(document(self._operations))
        send(request, response, self._answer)


class AsyncApi:
    """The AsyncAPI document."""

    def __init__(self) -> None:
        self._answer: Answer | None = None

    @public
    @describes("read_asyncapi", answers={200: dict[str, Any]}, etag=True, local=True)
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Return the AsyncAPI 3 document of all topics and queues."""
        if self._answer is None:  # Once all contracts are declared; as above.
            self._answer = constant(asyncapi.document())
        send(request, response, self._answer)


def constant(value: Any) -> Answer:
    """Return a JSON answer that is the same for every client until the next deployment."""
    answer = json_answer(value, headers={"Cache-Control": CACHED})
    etag = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    return Answer(headers={**answer.headers, "ETag": etag}, body=answer.body)
