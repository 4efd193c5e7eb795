"""Operations: a responder's description, guard and docstring in the words of OpenAPI."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from api.descriptions import Content, Description, RawBody
from api.guards import SAFE_METHODS, Audience
from api.openapi import errors
from api.openapi.errors import Kind
from api.openapi.schemas import Mode, Schemas

#: Where what a 202 names is read, by the member that names it.
_LINKS = {
    "job_id": ("job", {"operationId": "read_job", "parameters": {"job_id": "$response.body#/job_id"}}),
    "batch_id": ("batch", {"operationId": "read_batch", "parameters": {"batch_id": "$response.body#/batch_id"}}),
}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    resource: object
    audience: Audience | None
    description: Description

    def types(self) -> Iterator[tuple[str, tuple[Any, Mode]]]:
        """Yield the types that the operation is described by, each under a name of its own."""
        if self.description.body is not None and not isinstance(self.description.body, RawBody):
            yield self._name("body"), (self.description.body, "validation")
        for status, answer in self.description.answers.items():
            if answer is not None and not isinstance(answer, Content):
                yield self._name(status), (answer, "serialization")
        for name, type_ in self._parameters().items():
            yield self._name(name), (type_, "validation")

    def problems(self) -> dict[int, list[Kind]]:
        """Return the problems that it can answer, by status."""
        found = errors.kinds_of(self.method, self.path, self.audience, self.description)
        return {status: kinds for status, kinds in found.items() if status not in self.description.answers}

    def written(self, schemas: Schemas) -> dict[str, Any]:
        """Return the operation object of OpenAPI."""
        text = inspect.getdoc(getattr(self.resource, f"on_{self.method.lower()}")) or ""
        summary, _, rest = text.partition("\n\n")
        body = {"requestBody": self._body(schemas)} if self.description.body is not None else {}
        return {
            "operationId": self.description.operation_id,
            "tags": [self.tag],
            "summary": summary.replace("\n", " ").replace("`", ""),
            **({"description": rest} if rest else {}),
            "parameters": [*self._headers(), *self._path_and_query(schemas)],
            **body,
            "responses": {**self._answers(schemas), **self._problems()},
            "security": self._security(),
        }

    @property
    def tag(self) -> str:
        """Return the tag, by which operations are grouped: the module of the resource."""
        return type(self.resource).__module__.rpartition(".")[2]

    def _name(self, part: str | int) -> str:
        return f"{self.description.operation_id} {part}"

    def _parameters(self) -> dict[str, Any]:
        return dict.fromkeys(errors.names_in(self.path), UUID) | dict(self.description.parameters)

    def _path_and_query(self, schemas: Schemas) -> Iterator[dict[str, Any]]:
        for name in self._parameters():
            in_path = f"{{{name}}}" in self.path
            place = "path" if in_path else "query"
            schema = schemas.of(self._name(name))
            described = {"description": schema.pop("description")} if "description" in schema else {}
            example = schemas.example(self._name(name))
            yield {"name": name, "in": place, "required": in_path, **described, "schema": schema, "example": example}

    def _headers(self) -> Iterator[dict[str, str]]:
        names = {
            "RequestId": True,
            "IdempotencyKey": self.description.idempotent,
            "IfMatch": self.description.if_match,
            "IfNoneMatch": self.description.etag and self.method == "GET",
        }
        yield from ({"$ref": f"#/components/parameters/{name}"} for name, does in names.items() if does)

    def _body(self, schemas: Schemas) -> dict[str, Any]:
        if isinstance(self.description.body, RawBody):
            binary = {"schema": {"type": "string", "format": "binary"}}
            return {"required": True, "content": dict.fromkeys(self.description.body.media_types, binary)}
        content = {"schema": schemas.of(self._name("body")), "example": schemas.example(self._name("body"))}
        return {"required": True, "content": {self.description.media_type: content}}

    def _answers(self, schemas: Schemas) -> dict[str, Any]:
        answers = {str(status): self._answer(status, schemas) for status in self.description.answers}
        if self.description.etag and self.method == "GET":
            text = "It has not changed since the read that `If-None-Match` names."
            answers["304"] = {"description": text, "headers": errors.headers("X-Request-Id", "ETag")}
        return answers

    def _answer(self, status: int, schemas: Schemas) -> dict[str, Any]:
        answer, name = self.description.answers[status], self._name(status)
        named = getattr(answer, "__annotations__", {}) if status == HTTPStatus.ACCEPTED else {}
        links = dict(link for member, link in _LINKS.items() if member in named)
        accepted = {"links": links} if links else {}
        content: dict[str, Any] = {}
        if isinstance(answer, Content):
            content = {"content": {answer.media_type: {}}}
        elif answer is not None:
            content = {"content": {"application/json": {"schema": schemas.of(name), "example": schemas.example(name)}}}
        return {"description": HTTPStatus(status).phrase, "headers": self._sent(status), **content, **accepted}

    def _sent(self, status: int) -> dict[str, Any]:
        """Return the headers of an answer."""
        names = {
            "Location": status == HTTPStatus.ACCEPTED,
            "ETag": self.description.etag,
            **dict.fromkeys(errors.LIMIT_HEADERS, self.description.limited),
        }
        sent = errors.headers("X-Request-Id", *(name for name, does in names.items() if does))
        own = self.description.headers.items()
        return {**sent, **{name: {"description": text, "schema": {"type": "string"}} for name, text in own}}

    def _problems(self) -> dict[str, Any]:
        named = {status: errors.response_name(kinds) for status, kinds in self.problems().items()}
        return {str(status): {"$ref": f"#/components/responses/{name}"} for status, name in named.items()}

    def _security(self) -> list[dict[str, list[str]]]:
        """Return the ways to sign in, of which a request uses one; an empty one stands for none."""
        if self.audience is Audience.PUBLIC:
            return []
        cookie: dict[str, list[str]] = {"cookie": []}
        signed_in: list[dict[str, list[str]]] = [
            {"bearer": []},
            cookie if self.method in SAFE_METHODS else cookie | {"csrf": []},
        ]
        return ([{}] if self.audience is Audience.OPTIONALLY_SIGNED_IN else []) + signed_in
