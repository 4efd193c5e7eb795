"""`/v1/imports`: a statement is received, previewed, or refused with what to do; its owner alone reads the import."""

import io
import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID

import falcon.testing
import pytest

from moneyflow.gateways.storage import new_key
from moneyflow.gateways.storage.file import FileStorage
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.api import served
from tests.support.books import NO_ID, Book, book_of, pointers_of
from tests.support.imports import CSV, OFX2, form, lines, notes, send
from tests.support.servers import RealServers
from workers.testing import run_jobs


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    return FileStorage(tmp_path)


@pytest.fixture
def ada(servers: RealServers, settings: AllSettings, database: Database, storage: FileStorage) -> Any:
    assert servers.redis.identity(), "it runs"
    with served(settings, database, storage=storage) as api:
        yield book_of(api)


def _stored(storage: FileStorage) -> list[Path]:
    """Return all files in the storage, whole or not."""
    root = storage.path(new_key("private")).parent.parent.parent
    return [path for path in root.rglob("*") if path.is_file()]


def _jobs(database: Database) -> int:
    with database.transaction() as session:
        return len(session.fetch_all("select from jobs"))


def _accepted(answer: falcon.testing.Result) -> Any:
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['job_id']}"
    return answer.json


def test_a_statement_is_imported_and_its_owner_reads_what_has_come_of_it(
    ada: Book, database: Database, storage: FileStorage
) -> None:
    accepted = _accepted(send(ada, CSV + "2026-02-31,1,EUR,wrong\n", name="January 2026.csv"))
    path = f"/v1/imports/{accepted['id']}"
    before = ada.call("GET", path).json
    with database.transaction() as session:
        run_jobs(session, kinds=["import_statement"], gateways=[storage])
    after = ada.call("GET", path).json

    assert (before["state"], before["rows_read"], before["finished_at"]) == ("pending", 0, None)
    assert {name: after[name] for name in after if name not in {"created_at", "finished_at"}} == {
        "id": accepted["id"],
        "job_id": accepted["job_id"],
        "name": "January 2026.csv",
        "format": "csv",
        "state": "succeeded",
        "error": None,
        "rows_read": 4,
        "rows_added": 3,
        "rows_duplicate": 0,
        "rows_refused": 1,
        "refused": [{"line": 5, "reason": "the date “2026-02-31” is no day in the order YMD"}],
    }
    job = ada.call("GET", f"/v1/jobs/{accepted['job_id']}").json
    assert (job["state"], job["progress"]["done"], job["progress"]["total"]) == (
        "succeeded", len(CSV) + 23, len(CSV) + 23
    )  # fmt: skip
    (one, *_) = ada.call("GET", "/v1/transactions").json["items"]
    assert one["import_id"] == accepted["id"]


def test_a_preview_shows_what_would_be_taken_of_the_first_fifty_rows_and_writes_nothing(
    ada: Book, database: Database, storage: FileStorage
) -> None:
    content = "Datum;Text;Betrag\nmorgen;wrong;1,00\n" + "31.01.2026;Brot;-1.234,50\n" * 100

    answer = send(ada, content, preview=True, currency="EUR")

    assert answer.status_code == 200, answer.text
    shown = answer.json
    assert shown["refused"] == [{"line": 2, "reason": "the date “morgen” is none"}]
    assert len(shown["items"]) == 49
    assert shown["items"][0] == {
        "line": 3, "date": "2026-01-31", "kind": "expense", "amount": "1234.50", "currency": "EUR", "note": "",
        "category": "",
    }  # fmt: skip
    assert shown["mapping"] | {"columns": None} == {
        "columns": None, "encoding": "utf-8", "delimiter": ";", "quote": '"', "has_header": True, "date_format": "DMY",
        "decimal": ",", "sign": "positive_is_income", "account": None,
    }  # fmt: skip
    assert (_stored(storage), _jobs(database), notes(database)) == ([], 0, [])


def test_the_mapping_of_a_preview_can_be_sent_back_changed(ada: Book) -> None:
    content = "Datum;Text;Betrag\n31.01.2026;Brot;-1,50\n"
    mapping = send(ada, content, preview=True, currency="EUR").json["mapping"]
    columns = {name: place for name, place in mapping["columns"].items() if place} | {"note": [2]}

    again = send(ada, content, preview=True, currency="EUR", mapping=mapping | {"columns": columns})

    assert again.status_code == 200, again.text
    assert [one["note"] for one in again.json["items"]] == ["Brot"]


def test_a_repeated_request_under_its_key_gets_the_first_answer_and_leaves_one_file(
    ada: Book, database: Database, storage: FileStorage
) -> None:
    first, again = send(ada, CSV, key="k"), send(ada, CSV, key="k")
    other = send(ada, CSV + "2026-01-01,1,EUR,x\n", key="k")
    other_name, other_mapping = send(ada, CSV, key="k", name="b.csv"), send(ada, CSV, key="k", mapping={"decimal": "."})

    assert first.json == again.json
    assert [one.status_code for one in (first, again, other, other_name, other_mapping)] == [202, 202, 422, 422, 422]
    assert len(_stored(storage)) == _jobs(database) == 1


def _zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("statement.csv", CSV)
    return content.getvalue()


_BOMB = f"{OFX2}<!DOCTYPE x [<!ENTITY a '{'a' * 99}'>]><OFX><STMTTRN><NAME>&a;</STMTTRN></OFX>"


@pytest.mark.parametrize(
    ("content", "options", "pointer", "words"),
    [
        (CSV, {"name": "../../etc/passwd"}, "/file", "path"),
        (CSV, {"name": "C:\\statement.csv"}, "/file", "path"),
        (CSV, {"name": ""}, "/file", "no name"),
        (CSV, {"name": "x" * 300}, "/file", "more than 255"),
        (CSV, {"name": "a\u202evsc.exe"}, "/file", "control"),
        (_zip(), {}, "/file", "zip"),
        (bytes(range(256)) * 300, {}, "/file", "binary"),
        ("", {}, "/file", "empty"),
        (_BOMB, {"name": "x.ofx"}, "/file", "entities"),
        ("x" * 2_000_000, {}, "/mapping/columns", "no column"),
        ("1," * 1_000_000, {}, "/mapping/columns", "no column"),
        (CSV, {"currency": "XXZ"}, "/currency", "ISO 4217"),
        ("Date,Amount\n2026-01-01,1\n", {}, "/currency", "must be given"),
        (CSV, {"mapping": "{"}, "/mapping", "JSON"),
        (CSV, {"mapping": {"decimal": "x"}}, "/mapping/decimal", "mapping"),
        (CSV, {"mapping": {"columns": {"dat": 1}}}, "/mapping/columns/dat", "mapping"),
        (CSV, {"mapping": {"columns": {"date": 0}}}, "/mapping/columns/date/constrained-int", "mapping"),
    ],
)
def test_what_is_no_statement_is_refused_with_what_to_do_and_leaves_nothing(
    content: bytes | str,
    options: dict[str, Any],
    pointer: str,
    words: str,
    ada: Book,
    database: Database,
    storage: FileStorage,
) -> None:
    answer, preview = send(ada, content, **options), send(ada, content, preview=True, **options)

    assert pointers_of(answer)[0].startswith(pointer.removesuffix("/constrained-int")), answer.text
    assert pointers_of(preview) == pointers_of(answer)
    assert words in answer.text
    assert (_stored(storage), _jobs(database)) == ([], 0)


def _post(book: Book, body: bytes, content_type: str, **options: Any) -> falcon.testing.Result:
    headers = {**book.api.headers, "Content-Type": content_type, **options}
    return book.api.client.simulate_post("/v1/imports", body=body, headers=headers)


def test_a_form_that_is_damaged_or_no_form_is_refused_and_leaves_nothing(
    ada: Book, database: Database, storage: FileStorage
) -> None:
    body, content_type = form(CSV)
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff\xfe.csv"\r\n\r\nx\r\n--b--\r\n'
    refused = {
        415: [_post(ada, b"{}", "application/json"), _post(ada, CSV.encode(), "text/csv")],
        400: [
            _post(ada, body, "multipart/form-data"),
            _post(ada, body[:-40], content_type),
            _post(ada, b"", content_type),
            _post(ada, b"x" * 100_000, content_type),
            _post(ada, part, "multipart/form-data; boundary=b"),
            _post(ada, form(CSV, currency="x" * 100_000)[0], content_type),
            _post(ada, form(CSV, mapping=b"\xff")[0], content_type),
        ],
        422: [_post(ada, form(CSV, other="x")[0], content_type)],
    }

    for status, answers in refused.items():
        assert [answer.status_code for answer in answers] == [status] * len(answers), [one.text for one in answers]
    twice = _post(ada, body.replace(b"--\r\n", b"\r\n") + body[2:], content_type)
    assert twice.status_code == 400
    assert (_stored(storage), _jobs(database)) == ([], 0)


def test_a_body_that_is_declared_or_is_too_large_is_refused(ada: Book, storage: FileStorage) -> None:
    class Endless(io.RawIOBase):
        def __init__(self, head: bytes) -> None:
            self._head = head

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1, /) -> bytes:
            piece, self._head = self._head or b"2026-01-31,1,EUR,x\n" * 1000, b""
            return piece[: size if size >= 0 else None]

    body, content_type = form(CSV)
    declared = _post(ada, body, content_type, **{"Content-Length": str(5 * 1024**3)})
    chunked = ada.api.client.simulate_post(
        "/v1/imports",
        headers={**ada.api.headers, "Content-Type": content_type, "Transfer-Encoding": "chunked"},
        extras={"wsgi.input": Endless(body[:-40])},
    )

    assert (declared.status_code, chunked.status_code) == (413, 413), chunked.text
    assert _stored(storage) == []


def test_an_import_is_its_owners_alone(ada: Book) -> None:
    accepted = _accepted(send(ada, CSV))

    assert book_of(ada.api).call("GET", f"/v1/imports/{accepted['id']}").status_code == 404
    assert ada.call("GET", f"/v1/imports/{NO_ID}").status_code == 404
    assert ada.call("GET", "/v1/imports/x").status_code == 404


@pytest.mark.parametrize(
    ("job", "state", "error"),
    [("running", "running", None), ("cancelled", "cancelled", None), ("failed", "failed", "an error of the server")],
)
def test_the_state_of_an_import_without_an_outcome_is_that_of_its_job(
    job: str, state: str, error: str | None, ada: Book, database: Database
) -> None:
    accepted = _accepted(send(ada, lines([])))
    with database.transaction() as session:
        session.execute(
            "update jobs set state = %(state)s, finished_at = case when %(state)s <> 'running' then now() end "
            "where id = %(id)s",
            {"id": UUID(accepted["job_id"]), "state": job},
        )

    shown = ada.call("GET", f"/v1/imports/{accepted['id']}").json

    assert shown["state"] == state
    assert (shown["error"] or "").startswith(error or "")
    assert bool(shown["error"]) is bool(error)
