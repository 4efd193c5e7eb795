"""Exports: a statement as a file that its owner alone reads, a mail with a link to it, and its end."""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import orjson
import pypdf
import pytest

from moneyflow import personal_data
from moneyflow.jobs.export_data import ExportData
from moneyflow.jobs.export_statement import ExportStatement
from moneyflow.jobs.send_export import SendExport
from moneyflow.metadata import METADATA
from moneyflow.platform import clock, failpoints
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.settings import RetentionSettings
from moneyflow.retention import purge
from moneyflow.settings import AllSettings
from moneyflow.statements.exports.exports import MOST_PDF_ROWS
from moneyflow.statements.writing import entries
from tests.support.api import served
from tests.support.books import Book, book_of, pointers_of
from tests.support.servers import RealServers
from workers.testing import Mailbox, new_mailbox, run_jobs, temporary_storage

_YEAR = {"from": "2026-01-01", "to": "2026-12-31"}


@pytest.fixture
def ada(servers: RealServers, settings: AllSettings, database: Database) -> Iterator[Book]:
    assert servers.redis.identity(), "it runs"
    with served(settings, database) as api:
        yield book_of(api)


def _export(book: Book, **body: Any) -> Any:
    answer = book.call("POST", "/v1/exports", {**_YEAR, "format": "csv", **body})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['job_id']}"
    return answer.json


def _run(database: Database, mailbox: Mailbox | None = None) -> list[tuple[str, str]]:
    with database.transaction() as session:
        in_an_hour = clock.now() + timedelta(hours=1)  # Those too that wait for their next attempt.
        ran = run_jobs(session, until=in_an_hour, gateways=[mailbox] if mailbox else [])
    return [(one.kind, one.outcome) for one in ran]


def _shown(book: Book, export_id: str) -> Any:
    return book.call("GET", f"/v1/exports/{export_id}").json


def _content(database: Database, file_url: str) -> bytes:
    with database.transaction() as session:
        file_id = UUID(file_url.removeprefix("/v1/files/"))
        row = session.fetch_one("select key from files where id = %(id)s", {"id": file_id})
    assert row is not None
    with temporary_storage().open(row["key"]) as file:
        return file.read()


def _many(database: Database, user_id: UUID, count: int) -> None:
    """Add transactions of one amount, all on the days of January."""
    with database.transaction() as session:
        session.execute(
            "insert into transactions (id, user_id, kind, amount, currency, date) select gen_random_uuid(), "
            "%(user_id)s, case when n %% 3 = 0 then 'income' else 'expense' end, 1.00, 'EUR', "
            "date '2026-01-01' + n %% 31 from generate_series(1, %(count)s) n",
            {"user_id": user_id, "count": count},
        )


def _lines(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_a_statement_is_written_as_csv_and_its_owner_gets_a_mail_with_a_link_and_no_amount(
    ada: Book, database: Database
) -> None:
    food = ada.category(name="Food")
    bakery = ada.category(name="Bakery", parent_id=food["id"])
    bread = ada.transaction(category_id=bakery["id"], note="=two, loaves", tags=["a", "b"])
    ada.transaction(kind="income", amount="250000", currency="JPY", date="2026-03-01", note="")
    ada.transaction(date="2025-12-31")
    mailbox = new_mailbox()

    asked = _export(ada)
    before = _shown(ada, asked["id"])
    ran = _run(database, mailbox)
    after = _shown(ada, asked["id"])

    assert (before["state"], before["file_url"], before["expires_at"]) == ("pending", None, None)
    assert ran == [("export_statement", "succeeded"), ("send_export", "succeeded")]
    assert (after["state"], after["format"], after["from"]) == ("ready", "csv", "2026-01-01")
    lines = _lines(_content(database, after["file_url"]))
    assert lines[0] == {
        "date": "2026-02-28", "amount": "-12.30", "currency": "EUR", "category": "Food: Bakery",
        "note": "'=two, loaves", "tags": "a, b", "kind": "expense", "id": bread["id"],
    }  # fmt: skip
    assert [(line["amount"], line["currency"]) for line in lines] == [("-12.30", "EUR"), ("250000", "JPY")]
    (mail,) = mailbox.sent
    assert after["file_url"] in mail.text
    assert after["expires_at"][:10] in mail.text
    assert not any(amount in mail.text for amount in ("12.30", "250000"))


def test_a_job_shows_the_file_that_it_left_and_counts_its_transactions(ada: Book, database: Database) -> None:
    _many(database, ada.user_id, 4500)

    asked = _export(ada)
    _run(database)
    job = ada.call("GET", f"/v1/jobs/{asked['job_id']}").json

    assert (job["state"], job["kind"]) == ("succeeded", "export_statement")
    assert job["progress"] == {"done": 4500, "total": 4500, "note": "transactions"}
    assert job["result"]["file"]["url"] == _shown(ada, asked["id"])["file_url"]
    assert job["result"]["file"]["name"] == "statement-2026-01-01-2026-12-31.csv"


def test_a_statement_is_written_as_pdf_with_totals_and_all_pages(ada: Book, database: Database) -> None:
    for number in range(90):
        ada.transaction(amount=f"{number + 1}.00", note=f"loaf number {number}")

    asked = _export(ada, format="pdf")
    _run(database)
    read = pypdf.PdfReader(io.BytesIO(_content(database, _shown(ada, asked["id"])["file_url"])))

    texts = [page.extract_text() for page in read.pages]
    assert len(texts) > 2
    assert "Totals by currency" in texts[0]
    assert "-4,095.00" in texts[0]
    assert all(f"Page {number} of {len(texts)}" in text for number, text in enumerate(texts, start=1))
    assert sum(f"loaf number {number}\n" in "".join(texts).replace(" #", "\n#") for number in range(90)) == 90
    assert all("Date Category Note Amount" in text for text in texts[1:]), "the header is on each page of the table"


def test_an_attempt_that_dies_after_it_has_written_leaves_one_file_and_one_mail(ada: Book, database: Database) -> None:
    ada.transaction()
    asked = _export(ada)
    mailbox = new_mailbox()

    def die(point: str) -> None:
        if point == "storage.renamed":
            raise RuntimeError("it dies here")

    failpoints.set_hook(die)
    try:
        first = _run(database, mailbox)
    finally:
        failpoints.set_hook(None)
    between = _shown(ada, asked["id"])["state"]
    second = _run(database, mailbox)
    third = _run(database, mailbox)

    assert (first, between) == ([("export_statement", "retried")], "pending")
    assert second == [("export_statement", "succeeded"), ("send_export", "succeeded")]
    assert (third, len(mailbox.sent)) == ([], 1)
    with database.transaction() as session:
        assert len(session.fetch_all("select id from files")) == 1


def test_all_transactions_are_as_they_were_at_one_moment(ada: Book, database: Database) -> None:
    _many(database, ada.user_id, 5000)
    days = {"first_day": date(2026, 1, 1), "last_day": date(2026, 12, 31)}

    with database.transaction() as session:
        read = entries.read(OwnerScope(session, ada.user_id), **days)
        first = next(read)
        _many(database, ada.user_id, 100)
        rest = list(read)
        again = list(entries.read(OwnerScope(session, ada.user_id), **days))

    sizes = [len(first), *map(len, rest)]
    assert sizes == [2000, 2000, 1000]
    found = [entry for some in (first, *rest) for entry in some]
    assert found == sorted(found, key=lambda entry: (entry.date, entry.id))
    assert sum(map(len, again)) == 5100


def test_a_period_with_too_many_transactions_for_a_pdf_is_refused_with_what_to_do(
    ada: Book, database: Database
) -> None:
    _many(database, ada.user_id, MOST_PDF_ROWS)
    asked = _export(ada, format="pdf")
    _many(database, ada.user_id, 1)

    refused = ada.call("POST", "/v1/exports", {**_YEAR, "format": "pdf"})
    ran = _run(database)
    job = ada.call("GET", f"/v1/jobs/{asked['job_id']}").json

    assert pointers_of(refused) == ["/format"]
    assert "export it as csv" in refused.json["errors"][0]["detail"]
    assert ran == [("export_statement", "succeeded")], "it has grown since the request, and says so"
    assert "export it as csv" in job["result"]["refused"]
    assert _shown(ada, asked["id"])["state"] == "failed"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"from": "2026-02-01", "to": "2026-01-31"}, "/to"),
        ({"format": "xls"}, "/format"),
        ({"from": "yesterday"}, "/from"),
        ({"more": 1}, "/more"),
    ],
)
def test_an_export_that_does_not_fit_is_refused(ada: Book, body: dict[str, Any], pointer: str) -> None:
    assert pointers_of(ada.call("POST", "/v1/exports", {**_YEAR, "format": "csv", **body})) == [pointer]


def test_the_same_request_under_its_key_makes_one_export(ada: Book, database: Database) -> None:
    body = {**_YEAR, "format": "csv"}

    first = ada.call("POST", "/v1/exports", body, Idempotency_Key="one")
    second = ada.call("POST", "/v1/exports", body, Idempotency_Key="one")

    assert first.json == second.json
    with database.transaction() as session:
        assert len(session.fetch_all("select id from exports")) == 1


def test_an_export_expires_with_its_file(ada: Book, database: Database) -> None:
    asked = _export(ada)
    _run(database)
    with database.transaction() as session:
        session.execute("update exports set expires_at = now() - interval '1 second'")
        session.execute("update files set expires_at = now() - interval '1 second'")

    answer = ada.call("GET", f"/v1/exports/{asked['id']}")
    with database.transaction() as session:
        deleted = purge(session, RetentionSettings(), seconds=60)

    assert answer.status_code == 404
    assert (deleted["exports"], deleted["files"]) == (1, 1)


def test_an_export_that_there_is_not_any_more_is_neither_written_nor_mailed(database: Database) -> None:
    with database.transaction() as session:
        enqueue(session, ExportStatement(user_id=new_id(), export_id=new_id()))
        enqueue(session, ExportData(user_id=new_id(), export_id=new_id()))
        enqueue(session, SendExport(export_id=new_id()))
        ran = run_jobs(session)

    assert {one.outcome for one in ran} == {"succeeded"}
    assert [one.result for one in ran if one.kind == "send_export"] == [
        {"sent": False, "reason": "the export has expired, or its account was deleted"}
    ]


def test_a_person_gets_all_that_is_kept_of_them(ada: Book, database: Database) -> None:
    category = ada.category(name="Käse")
    gone = ada.transaction(category_id=category["id"], note="żółw")
    ada.transaction(amount="0.10")
    ada.call("DELETE", f"/v1/transactions/{gone['id']}", If_Match="*")
    _export(ada)
    _run(database)
    mailbox = new_mailbox()

    asked = ada.call("POST", "/v1/users/me/data")
    _run(database, mailbox)
    shown = _shown(ada, asked.json["id"])

    assert (asked.status_code, shown["state"], shown["format"], shown["from"]) == (202, "ready", "zip", None)
    with zipfile.ZipFile(io.BytesIO(_content(database, shown["file_url"]))) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    rows = {name: orjson.loads(content) for name, content in found.items() if name.endswith(".json")}
    assert [row["email"] for row in rows["users.json"]] == [f"{ada.user_id}@mail.example"]
    assert [row["name"] for row in rows["categories.json"]] == ["Käse"]
    assert {(row["note"], row["deleted_at"] is None) for row in rows["transactions.json"]} == {
        ("żółw", False),
        ("two loaves", True),
    }
    assert {row["kind"] for row in rows["jobs.json"]} >= {"export_statement", "export_data"}
    assert len(rows["exports.json"]) == 2
    assert not any("password" in str(row) for row in rows["users.json"])
    assert "payments.json" not in rows, "a table without rows of the person is left out"
    assert "The export of all your data" in mailbox.sent[0].text


def test_every_table_that_refers_to_a_person_is_in_the_export_or_says_why_not() -> None:
    people = {
        str(table)
        for table in METADATA.tables.values()
        if {"user_id", "owner_id", "actor_id"} & set(table.columns.keys())
        or any(key.column.table.name == "users" for key in table.foreign_keys)
    }

    missing = people - personal_data.registry.keys() - personal_data.left_out.keys()
    assert missing == set(), "declare a Part in the module `personal_data` next to its table"
    assert personal_data.registry.keys() - {"users"} <= people


def test_an_account_that_is_deleted_leaves_no_file(ada: Book, database: Database) -> None:
    asked = _export(ada)
    _run(database)
    url = _shown(ada, asked["id"])["file_url"]
    _content(database, url)

    assert ada.call("DELETE", "/v1/users/me").status_code == 204

    with database.transaction() as session:
        assert session.fetch_all("select id from exports") == []
        assert session.fetch_all("select id from files") == []
        deletions = session.fetch_all("select key from file_deletions")
    assert len(deletions) == 1, "by which the sweep deletes it"


def test_an_export_of_an_account_that_is_deleted_while_it_is_written_leaves_no_row(
    ada: Book, database: Database
) -> None:
    _export(ada)

    def delete(point: str) -> None:
        if point == "storage.renamed":
            assert ada.call("DELETE", "/v1/users/me").status_code == 204

    with database.transaction() as session:
        failpoints.set_hook(delete)
        try:
            ran = run_jobs(session)
        finally:
            failpoints.set_hook(None)

    assert [one.outcome for one in ran] == ["succeeded"]
    with database.transaction() as session:
        assert session.fetch_all("select id from files") == []


def test_one_export_of_a_person_is_made_at_a_time(ada: Book, database: Database) -> None:
    for _ in range(3):
        _export(ada)

    with database.transaction() as session:
        rows = session.fetch_all("select limit_key, waits_for from jobs where kind = 'export_statement'")

    assert {(row["limit_key"], row["waits_for"]) for row in rows} == {(str(ada.user_id), "limit")}
