"""Random histories of people's money, written by the product's own use cases while everything else fails."""

import datetime as dt
import random
import threading
import uuid
from types import TracebackType
from typing import Self
from uuid import UUID

import psycopg

from moneyflow.accounts import people, tokens, users
from moneyflow.accounts.sessions import Sessions
from moneyflow.mails import ACTIVATE
from moneyflow.money import bulk, categories, category_deletion, transactions
from moneyflow.money.bulk import Acts, Move
from moneyflow.money.transactions import Kind, Transaction
from moneyflow.platform.database import Database
from moneyflow.platform.errors import MoneyFlowError
from moneyflow.platform.http.answers import json_answer
from moneyflow.platform.http.idempotency import IdempotentRequest
from moneyflow.platform.owner import OwnerScope
from moneyflow.settings import AllSettings

#: Every event that a transaction has committed, as nothing of the product could write it.
_EMITTED = """
create table emitted (id uuid primary key);
create function note_emitted() returns trigger language plpgsql security definer as $$
begin insert into public.emitted select id from added; return null; end $$;
create trigger note_emitted after insert on outbox_events referencing new table as added
    for each statement execute function note_emitted();
"""
_AMOUNTS = {"EUR": "12.34", "JPY": "567", "KWD": "1.234"}
_FIRST_DAY = dt.date(2026, 1, 1)
_FEWEST_PEOPLE = 6
#: Of so many acts one is a sign-up; half as many are the deletion of an account.
_SIGN_UPS = 0.04
_SOME = """
select id, user_id, kind, amount, currency, date, category_id, note, tags, payment_id, import_id, version, created_at,
    updated_at
from transactions where user_id = %(owner_id)s and deleted_at is null order by id desc limit %(limit)s for update
"""
_ONCE = IdempotentRequest(scope="", key=None, body_hash=b"")
_KINDS: tuple[Kind, ...] = ("income", "expense")


def note_emitted(connection: "psycopg.Connection[psycopg.rows.DictRow]") -> None:
    """Let the database keep the id of each event that is emitted from now on; `connection` is the superuser's."""
    connection.execute(_EMITTED)


class Histories:
    """Writes histories of random people until at least `events` are emitted; `size` is how many one act may write."""

    def __init__(self, settings: AllSettings, *, seed: int, events: int, size: int, writers: int = 2) -> None:
        self._settings = settings
        self._events = events
        self._size = size
        self._stopping = threading.Event()
        self._database = Database(settings.conninfo("app", application_name="histories"), size=writers)
        self._sessions = Sessions(settings)
        self._errors: list[BaseException] = []
        self._written = 0
        self._threads = [
            threading.Thread(target=self._keep_errors, args=(random.Random(f"histories/{seed}/{number}"),))
            for number in range(writers)
        ]

    def __enter__(self) -> Self:
        self._database.open()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None:
            self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._database.close()
        self._sessions.close()
        if self._errors and kind is None:
            raise self._errors[0]

    def _keep_errors(self, dice: random.Random) -> None:
        try:
            self._write(dice)
        except BaseException as error:  # noqa: BLE001 - raised where the test sees it
            self._errors.append(error)

    def _write(self, dice: random.Random) -> None:
        people: list[UUID] = []
        while not self._stopping.is_set() and self._written < self._events:
            try:
                self._written += self._act(dice, people)
            except (MoneyFlowError, psycopg.Error):
                self._stopping.wait(0.1)  # A server is down by a fault.

    def _act(self, dice: random.Random, people: list[UUID]) -> int:
        """Do something as one of the people, in one transaction; return about how many events it has."""
        if len(people) < _FEWEST_PEOPLE or dice.random() < _SIGN_UPS:
            people.append(self._sign_up())
            return 2
        if len(people) > _FEWEST_PEOPLE and dice.random() < _SIGN_UPS / 2:
            with self._database.transaction() as session:
                users.delete(session, self._sessions, people.pop(dice.randrange(len(people))))
            return 1
        act = dice.choice(
            (*[self._add] * 4, *[self._move] * 2, self._change, self._delete, self._categorize, self._drop)
        )
        with self._database.transaction() as session:
            return act(dice, OwnerScope(session, dice.choice(people)))

    def _sign_up(self) -> UUID:
        email = f"{uuid.uuid4().hex}@histories.example"
        with self._database.transaction() as session:
            job_id = users.sign_up(session, email=email, name="Ada", password_hash="")
            user_id = people.id_of(session, email=email)
            assert user_id is not None
            token = tokens.issue(
                session,
                ACTIVATE,
                secret_key=self._settings.secret_key.get_secret_value(),
                user_id=user_id,
                job_id=job_id,
            )
            return users.activate(session, token).user_id

    def _add(self, dice: random.Random, scope: OwnerScope) -> int:
        by_kind = self._categories(scope)
        made = [self._drawn(dice, scope, by_kind) for _ in range(dice.randint(1, self._size))]
        bulk.act(scope, Acts(create=made))
        return len(made)

    def _drawn(self, dice: random.Random, scope: OwnerScope, by_kind: dict[Kind, list[UUID]]) -> Transaction:
        kind, currency = dice.choice(_KINDS), dice.choice(tuple(_AMOUNTS))
        assert scope.owner_id is not None
        return transactions.make(
            scope.owner_id, kind=kind, amount=_AMOUNTS[currency], currency=currency, date=_day(dice),
            category_id=dice.choice([None, *by_kind[kind]]),
        )  # fmt: skip

    def _move(self, dice: random.Random, scope: OwnerScope) -> int:
        by_kind = self._categories(scope)
        moves = [
            Move(id=one.id, category_id=dice.choice([None, *by_kind[one.kind]])) for one in self._some(dice, scope)
        ]
        bulk.act(scope, Acts(change_category=moves))
        return len(moves)

    def _change(self, dice: random.Random, scope: OwnerScope) -> int:
        some = self._some(dice, scope)[:3]
        for one in some:
            currency = dice.choice(tuple(_AMOUNTS))
            values = {"amount": _AMOUNTS[currency], "currency": currency, "date": _day(dice)}
            transactions.change(scope.session, one, transactions.changed(one, values))
        return len(some)

    def _delete(self, dice: random.Random, scope: OwnerScope) -> int:
        gone = [one.id for one in self._some(dice, scope)]
        bulk.act(scope, Acts(delete=gone))
        return len(gone)

    def _categorize(self, dice: random.Random, scope: OwnerScope) -> int:
        assert scope.owner_id is not None
        made = categories.make(scope.owner_id, kind=dice.choice(_KINDS), name=uuid.uuid4().hex)
        categories.create(scope.session, made, once=_ONCE, answer=json_answer({}))
        return 1

    def _drop(self, dice: random.Random, scope: OwnerScope) -> int:
        ids = [one for of_kind in self._categories(scope).values() for one in of_kind]
        if not ids:
            return 0
        part = category_deletion.delete_part(scope, categories.lock(scope, dice.choice(ids)), move_to=None)
        return 1 + part.moved

    def _categories(self, scope: OwnerScope) -> dict[Kind, list[UUID]]:
        rows = scope.rows("select id, kind from categories where user_id = %(owner_id)s order by id", {})
        return {kind: [row["id"] for row in rows if row["kind"] == kind] for kind in _KINDS}

    def _some(self, dice: random.Random, scope: OwnerScope) -> list[Transaction]:
        """Return some of the owner's newest transactions, which are locked."""
        rows = scope.rows(_SOME, {"limit": dice.randint(1, self._size)})
        return [transactions.of_row(row) for row in rows]


def _day(dice: random.Random) -> dt.date:
    return _FIRST_DAY + dt.timedelta(days=dice.randrange(400))
