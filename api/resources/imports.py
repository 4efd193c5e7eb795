"""`/v1/imports`: import a bank statement, or see what would be imported, and read what has come of it."""

from datetime import date as Day  # noqa: N812 - a field is named `date`
from datetime import datetime
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import falcon
from pydantic import Field
from typing_extensions import TypedDict

from api.answers import send
from api.descriptions import describes
from api.fields import Kind
from api.guards import caller_of, owner_scope, signed_in
from api.limits import UPLOADS, ClientLimits
from api.paths import id_of, job_url
from api.queries import query_model, query_of
from api.requests import idempotent
from api.statement_form import Received, StatementForm, StatementMapping, receive
from moneyflow.gateways.storage import Storage, new_key
from moneyflow.money.amounts import write_amount
from moneyflow.platform.database import Database
from moneyflow.platform.errors import MoneyFlowError, NotFoundError
from moneyflow.platform.http.answers import Answer, json_answer
from moneyflow.platform.http.idempotency import IdempotencyKeys
from moneyflow.platform.json_text import dumps
from moneyflow.statements import imports
from moneyflow.statements.imports import Import, Upload
from moneyflow.statements.reading import statement
from moneyflow.statements.reading.encodings import name_of
from moneyflow.statements.reading.mapping import CsvPlan, Plan
from moneyflow.statements.reading.rows import Entry, RefusedRow

#: Rows of a preview.
_PREVIEW_ROWS = 50

State = Literal["pending", "running", "succeeded", "failed", "cancelled"]


class _Query(TypedDict, total=False):
    preview: Annotated[bool, Field(description="Only show what would be imported of the first 50 rows.")]


_QUERY = query_model(_Query)


class AcceptedImport(TypedDict):
    """An import, and the job that reads the statement."""

    id: UUID
    job_id: UUID


class RefusedView(TypedDict):
    """A row that is no entry: the line of the file on which it begins, and why."""

    line: int
    reason: str


class EntryView(TypedDict):
    """A row as the transaction that it would become; `category` is as the file has it."""

    line: int
    date: Day
    kind: Kind
    amount: Annotated[str, Field(examples=["12.34"])]
    currency: Annotated[str, Field(examples=["EUR"])]
    note: str
    category: str


class ImportPreview(TypedDict):
    """What would be imported of the first 50 rows. `mapping` is how they were read; of OFX there is none."""

    format: Literal["csv", "ofx"]
    mapping: StatementMapping | None
    currency: str | None
    items: list[EntryView]
    refused: list[RefusedView]


class ImportView(TypedDict):
    """An import of the caller; of the refused rows the first 1,000 are shown."""

    id: UUID
    job_id: UUID
    name: str
    format: Literal["csv", "ofx"]
    state: State
    error: str | None
    rows_read: int
    rows_added: int
    rows_duplicate: int
    rows_refused: int
    refused: list[RefusedView]
    created_at: datetime
    finished_at: datetime | None


class Imports:
    """The caller's imports."""

    def __init__(self, database: Database, keys: IdempotencyKeys, storage: Storage, limits: ClientLimits) -> None:
        self._database = database
        self._keys = keys
        self._storage = storage
        self._limits = limits

    @signed_in
    @describes(
        "import_statement",
        body=StatementForm,
        media_type="multipart/form-data",
        answers={200: ImportPreview, 202: AcceptedImport},
        parameters=_Query.__annotations__,
        idempotent=True,
        limited=True,
        errors=(NotFoundError,),
    )
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Import a statement: 202 with the job that reads it; with `preview` 200, and nothing is written.

        An entry that was imported once is never added again, also from another file that has it.
        """
        self._limits.check_network(request, response, UPLOADS)
        self._limits.check_address(UPLOADS, str(caller_of(request).user_id))
        answer = _preview(request) if query_of(request, _QUERY).get("preview") else self._accept(request)
        send(request, response, answer)

    def _accept(self, request: falcon.Request) -> Answer:
        received = Received()
        try:
            receive(request, received, write=partial(self._storage.write, new_key("private")))
            answer, is_first = self._request(request, received)
        except (MoneyFlowError, falcon.HTTPError):
            # Nothing is committed. After any other error that is not known: the sweep deletes a file without a row.
            self._forget(received)
            raise
        if not is_first:
            self._forget(received)
        return answer

    def _forget(self, received: Received) -> None:
        if received.written is not None:
            self._storage.delete(received.written.key)

    def _request(self, request: falcon.Request, received: Received) -> tuple[Answer, bool]:
        """Request the import; return the answer, and whether this request is the first one under its key."""
        assert received.written is not None, "a form without a file is refused"
        upload = Upload(written=received.written, name=received.name, plan=_plan(received))
        content = {**received.fields, "name": received.name, "sha256": received.written.sha256}
        once = idempotent(request, self._keys, dumps(content))
        with self._database.transaction() as session:
            earlier = once.first_answer(session)
            if earlier is not None:
                return earlier, False
            requested = imports.request(owner_scope(request, session), upload)
            shown: AcceptedImport = {"id": requested.id, "job_id": requested.job_id}
            headers = {"Location": job_url(requested.job_id)}
            answer = once.keep(session, json_answer(shown, status=HTTPStatus.ACCEPTED, headers=headers))
        return answer, True


class OneImport:
    """An import of the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @signed_in
    @describes("read_import", answers={200: ImportView}, errors=(NotFoundError,))
    def on_get(self, request: falcon.Request, response: falcon.Response, import_id: str) -> None:
        """Return the import: what has come of its rows so far, and why some were refused."""
        parsed = id_of("import", import_id, found="the `id` in the answer to POST /v1/imports")
        with self._database.autocommit() as session:
            found = imports.read(owner_scope(request, session), parsed)
        send(request, response, json_answer(_shown(found)))


def _plan(received: Received) -> Plan:
    return statement.plan(received.head, received.given, currency=received.currency, is_utf8=received.is_utf8)


def _preview(request: falcon.Request) -> Answer:
    received = Received()
    receive(request, received, write=None)
    plan = _plan(received)
    rows = statement.first_rows(BytesIO(received.head), plan, most=_PREVIEW_ROWS)
    shown: ImportPreview = {
        "format": plan.format,
        "mapping": _mapping(plan) if isinstance(plan, CsvPlan) else None,
        "currency": plan.currency,
        "items": [_entry(row) for row in rows if isinstance(row, Entry)],
        "refused": [{"line": row.line, "reason": row.reason} for row in rows if isinstance(row, RefusedRow)],
    }
    return json_answer({**shown, "mapping": shown["mapping"] and shown["mapping"].model_dump()})


def _entry(row: Entry) -> EntryView:
    return {
        "line": row.line,
        "date": row.date,
        "kind": row.kind,
        "amount": write_amount(row.amount),
        "currency": row.currency,
        "note": row.note,
        "category": row.category,
    }


def _mapping(plan: CsvPlan) -> StatementMapping:
    """Return the mapping by which the file is read in the same way, for a client that corrects it."""
    columns: dict[str, Any] = {}
    for name, place in plan.columns.model_dump(exclude_none=True).items():
        columns[name] = [one + 1 for one in place] if name == "note" else place + 1
    return StatementMapping.model_validate(
        {
            "columns": columns,
            "encoding": name_of(plan.encoding),
            "delimiter": plan.delimiter,
            "quote": plan.quote,
            "has_header": plan.header_line > 0,
            "date_format": plan.date_format,
            "decimal": plan.decimal,
            "sign": plan.sign,
            "account": plan.account or None,
        }
    )


def _shown(found: Import) -> ImportView:
    return {
        "id": found.id,
        "job_id": found.job_id,
        "name": found.name,
        "format": cast("Literal['csv', 'ofx']", found.format),
        "state": cast("State", found.state),
        "error": found.error,
        "rows_read": found.rows_read,
        "rows_added": found.rows_added,
        "rows_duplicate": found.rows_duplicate,
        "rows_refused": found.rows_refused,
        "refused": [{"line": one.line, "reason": one.reason} for one in found.refused],
        "created_at": found.created_at,
        "finished_at": found.finished_at,
    }
