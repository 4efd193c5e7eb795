"""Owner scope and pages on Postgres: a person sees their own rows only, page by page, each once."""

from collections.abc import Iterator
from typing import LiteralString
from uuid import UUID

import pytest

from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.http.pages import Keyset
from moneyflow.platform.ids import new_id
from moneyflow.platform.owner import OwnerScope

_ADA, _BOB = new_id(), new_id()
_BY_AMOUNT = Keyset(name="notes", columns={"amount": int, "id": UUID})
_ONE: LiteralString = "select id, amount from notes where id = %(id)s and owner_id = %(owner_id)s"
_PAGE: LiteralString = """
select id, amount from notes
where owner_id = %(owner_id)s and (%(after_id)s::uuid is null or (amount, id) < (%(after_amount)s::int, %(after_id)s))
order by amount desc, id desc limit %(limit)s
"""


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """Return a transaction with ten notes of Ada, several of one amount, and two of Bob."""
    with database.transaction() as session:
        session.execute("create temporary table notes (id uuid, owner_id uuid, amount int) on commit drop")
        session.execute_many(
            "insert into notes values (%(id)s, %(owner)s, %(amount)s)",
            [{"id": new_id(), "owner": _ADA, "amount": number // 3} for number in range(10)]
            + [{"id": new_id(), "owner": _BOB, "amount": number} for number in range(2)],
        )
        yield session


def _of(session: Session, owner_id: UUID) -> list[UUID]:
    return [
        row["id"] for row in session.fetch_all("select id from notes where owner_id = %(owner)s", {"owner": owner_id})
    ]


def test_pages_show_every_row_of_the_owner_once_in_order(session: Session) -> None:
    scope, seen, cursor = OwnerScope(session, _ADA), [], None
    while True:
        page = _BY_AMOUNT.page(limit="3", cursor=cursor)
        body = page.of(scope.rows(_PAGE, page.parameters()), lambda row: (row["amount"], row["id"]))
        seen += body["items"]
        if (cursor := body["next_cursor"]) is None:
            break

    assert seen == sorted(seen, reverse=True)
    assert {row_id for _, row_id in seen} == set(_of(session, _ADA))
    assert len(seen) == 10


def test_a_row_of_another_person_is_not_found_like_one_that_does_not_exist(session: Session) -> None:
    own, foreign = _of(session, _ADA)[0], _of(session, _BOB)[0]
    scope = OwnerScope(session, _ADA)

    assert scope.row(_ONE, own, what="note")["id"] == own
    for row_id in (foreign, new_id()):
        with pytest.raises(NotFoundError, match=f"there is no note {row_id}"):
            scope.row(_ONE, row_id, what="note")


def test_an_update_reaches_the_rows_of_the_owner_only(session: Session) -> None:
    written = OwnerScope(session, _ADA).execute("delete from notes where owner_id = %(owner_id)s", {})

    assert written == 10
    assert len(_of(session, _BOB)) == 2


def test_a_statement_that_forgets_the_owner_is_refused(session: Session) -> None:
    scope = OwnerScope(session, _ADA)

    with pytest.raises(ValueError, match="does not use"):
        scope.rows("select * from notes", {})
    with pytest.raises(ValueError, match="does not use"):
        scope.row("select * from notes where id = %(id)s", new_id(), what="note")
    with pytest.raises(ValueError, match="does not use"):
        scope.execute("delete from notes", {})
