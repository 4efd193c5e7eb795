"""`/v1/exports`: export a statement, and read whether it is ready; and all data of the caller."""

import datetime as dt
from http import HTTPStatus
from typing import Literal
from uuid import UUID

import falcon
from pydantic import Field
from typing_extensions import TypedDict

from api.answers import send
from api.bodies import Body, parse, read_body
from api.descriptions import describes
from api.fields import Day
from api.guards import owner_scope, signed_in
from api.paths import file_url, id_of, job_url
from api.requests import idempotent
from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.http.answers import Answer, json_answer
from moneyflow.platform.http.idempotency import IdempotencyKeys
from moneyflow.statements.exports import exports
from moneyflow.statements.exports.exports import Export, Period, Requested


class NewExport(Body):
    """The body of an export: the first and the last day, and the format. A PDF has 10,000 transactions at most."""

    from_: Day = Field(alias="from")
    to: Day
    format: Literal["csv", "pdf"]


class AcceptedExport(TypedDict):
    """An export, and the job that makes it."""

    id: UUID
    job_id: UUID


# The name `from` is a keyword of Python's.
ExportView = TypedDict(
    "ExportView",
    {
        "id": UUID,
        "state": Literal["pending", "ready", "failed"],
        "format": Literal["csv", "pdf", "zip"],
        "from": dt.date | None,
        "to": dt.date | None,
        "job_id": UUID,
        "file_url": str | None,
        "created_at": dt.datetime,
        "expires_at": dt.datetime | None,
    },
)
ExportView.__doc__ = "An export of the caller; once it is ready, `file_url` serves it until `expires_at`."


class Exports:
    """The caller's exports."""

    def __init__(self, database: Database, keys: IdempotencyKeys) -> None:
        self._database = database
        self._keys = keys

    @signed_in
    @describes(
        "export_statement",
        body=NewExport,
        answers={202: AcceptedExport},
        idempotent=True,
    )
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Export the transactions of some days: 202 with the job that writes the file and mails a link to it."""
        content = read_body(request)
        body = parse(content, NewExport)
        once = idempotent(request, self._keys, content)
        with self._database.transaction() as session:
            answer = once.first_answer(session)
            if answer is None:
                period = Period(first=body.from_, last=body.to)
                requested = exports.request_statement(owner_scope(request, session), period, format=body.format)
                answer = once.keep(session, _accepted(requested))
        send(request, response, answer)


class OwnExport:
    """An export of the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @signed_in
    @describes("read_export", answers={200: ExportView}, errors=(NotFoundError,))
    def on_get(self, request: falcon.Request, response: falcon.Response, export_id: str) -> None:
        """Return the export, until it has expired."""
        parsed = id_of("export", export_id, found="the `id` in the answer to POST /v1/exports")
        with self._database.autocommit() as session:
            export = exports.read(owner_scope(request, session), parsed)
        send(request, response, json_answer(_shown(export)))


class OwnData:
    """All that is kept of the caller."""

    def __init__(self, database: Database, keys: IdempotencyKeys) -> None:
        self._database = database
        self._keys = keys

    @signed_in
    @describes("export_data", answers={202: AcceptedExport}, idempotent=True, errors=(InvalidInputError,))
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Export all that is kept of the caller: 202 with the job that writes a ZIP file and mails a link to it."""
        once = idempotent(request, self._keys, b"")
        with self._database.transaction() as session:
            answer = once.first_answer(session)
            if answer is None:
                answer = once.keep(session, _accepted(exports.request_data(owner_scope(request, session))))
        send(request, response, answer)


def _accepted(requested: Requested) -> Answer:
    shown: AcceptedExport = {"id": requested.id, "job_id": requested.job_id}
    return json_answer(shown, status=HTTPStatus.ACCEPTED, headers={"Location": job_url(requested.job_id)})


def _shown(export: Export) -> ExportView:
    is_ready = export.file_id is not None
    return {
        "id": export.id,
        "state": export.state,
        "format": export.format,
        "from": export.period.first if export.period else None,
        "to": export.period.last if export.period else None,
        "job_id": export.job_id,
        "file_url": file_url(str(export.file_id)) if is_ready else None,
        "created_at": export.created_at,
        "expires_at": export.expires_at if is_ready else None,
    }
