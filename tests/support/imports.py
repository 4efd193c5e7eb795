"""What tests ask about imports: send a statement, have it read, and what is stored then."""

import io
import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import falcon.testing

from moneyflow.gateways.storage import Storage, new_key
from moneyflow.platform.database import Database
from moneyflow.platform.owner import OwnerScope
from moneyflow.statements import imports
from moneyflow.statements.imports import Requested, Upload
from moneyflow.statements.reading import statement
from moneyflow.statements.reading.encodings import Utf8Scan
from moneyflow.statements.reading.mapping import Given
from moneyflow.statements.reading.rows import Row
from tests.support.books import Book
from workers.testing import temporary_storage

COFFEE = "2026-02-28,-3.20,EUR,Coffee\n"
HEADER = "Date,Amount,Currency,Description\n"
CSV = HEADER + COFFEE + COFFEE + "2026-02-28,1500.00,EUR,Salary\n"
#: The header of an OFX file of version 2.
OFX2 = (
    '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
    '<?OFX OFXHEADER="200" VERSION="211" SECURITY="NONE" OLDFILEUID="NONE" NEWFILEUID="NONE"?>\n'
)
_BOUNDARY = "a-boundary-that-no-statement-has"


def form(content: bytes | str, *, name: str = "statement.csv", **fields: Any) -> tuple[bytes, str]:
    """Return the body of a form with a statement, and its content type."""
    parts = [f'form-data; name="file"; filename="{name}"'.encode() + b"\r\n\r\n" + _bytes(content)]
    for field, value in fields.items():
        text = value if isinstance(value, str | bytes) else json.dumps(value)
        parts.append(f'form-data; name="{field}"'.encode() + b"\r\n\r\n" + _bytes(text))
    lines = [b"--%s\r\nContent-Disposition: %s\r\n" % (_BOUNDARY.encode(), part) for part in parts]
    return b"".join(lines) + b"--%s--\r\n" % _BOUNDARY.encode(), f"multipart/form-data; boundary={_BOUNDARY}"


def send(
    book: Book,
    content: bytes | str,
    *,
    preview: bool = False,
    name: str = "statement.csv",
    key: str = "",
    **fields: Any,
) -> falcon.testing.Result:
    """Send a statement as a client does."""
    body, content_type = form(content, name=name, **fields)
    headers = {**book.api.headers, "Content-Type": content_type, **({"Idempotency-Key": key} if key else {})}
    query = "preview=true" if preview else ""
    return book.api.client.simulate_post("/v1/imports", body=body, headers=headers, query_string=query)


def requested(
    database: Database,
    user_id: UUID,
    content: bytes | str = CSV,
    *,
    currency: str | None = None,
    storage: Storage | None = None,
    given: Given | None = None,
) -> Requested:
    """Request an import in a transaction of its own."""
    data = _bytes(content)
    written = (storage or temporary_storage()).write(new_key("private"), [data])
    plan = statement.plan(data[: statement.HEAD_BYTES], given or Given(), currency=currency, is_utf8=is_utf8(data))
    with database.transaction() as session:
        upload = Upload(written=written, name="statement.csv", plan=plan)
        return imports.request(OwnerScope(session, user_id), upload)


def is_utf8(content: bytes) -> bool:
    scan = Utf8Scan()
    scan.feed(content)
    return scan.is_valid


def rows_of(content: bytes | str, given: Given | None = None, *, currency: str | None = None) -> list[Row]:
    """Read a statement by the plan that is found for it."""
    data = _bytes(content)
    plan = statement.plan(data[: statement.HEAD_BYTES], given or Given(), currency=currency, is_utf8=is_utf8(data))
    return list(statement.rows(io.BytesIO(data), plan))


def notes(database: Database) -> list[str]:
    """Return the notes of all transactions, sorted."""
    with database.transaction() as session:
        return sorted(row["note"] for row in session.fetch_all("select note from transactions"))


def counts(database: Database, import_id: UUID) -> dict[str, Any]:
    """Return the outcome of an import and its counts of rows: read, added, duplicate, refused."""
    with database.transaction() as session:
        row = session.fetch_one("select * from imports where id = %(id)s", {"id": import_id})
    assert row is not None
    return {name: row[name] for name in ("outcome", "rows_read", "rows_added", "rows_duplicate", "rows_refused")}


def lines(rows: Iterable[str]) -> str:
    """Return a CSV file of these rows."""
    return HEADER + "".join(f"{row}\n" for row in rows)


def _bytes(content: bytes | str) -> bytes:
    return content if isinstance(content, bytes) else content.encode()
