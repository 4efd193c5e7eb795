"""A world for tests of analytics: people whose books change by the product's own use cases, and the events of it."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString, cast
from uuid import UUID, uuid4

import orjson

from consumers.sink import Record
from consumers.sinks.analytics import AnalyticsSink
from consumers.sinks.audit import AuditSink
from moneyflow.accounts import users
from moneyflow.accounts.sessions import Sessions
from moneyflow.analytics.changes import ACTIVE_PEOPLE
from moneyflow.events.auth import SignedIn, SignInFailed
from moneyflow.events.user import UserActivated, UserCreated
from moneyflow.money import categories, category_deletion, transactions
from moneyflow.platform.database import Database, Session
from moneyflow.platform.events.emit import emit
from moneyflow.platform.http.answers import Answer
from moneyflow.platform.http.idempotency import WITHOUT_KEY
from moneyflow.platform.ids import new_id
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.telemetry.origin import Origin, working_for
from moneyflow.settings import AllSettings

FIRST_DAY = dt.date(2026, 1, 20)
_MOMENT = dt.datetime(2026, 1, 30, 23, 59, tzinfo=dt.UTC)

#: What the current generation says, and what the tables say, in the same columns.
_DAYS: LiteralString = """
select user_id, day, currency, category_id, income, expense, transactions from analytics.daily_sums
where transactions <> 0 and generation = (select current from analytics.generations where part = 'money')
order by user_id, day, currency, category_id
"""
_MONTHS: LiteralString = """
select user_id, month as day, currency, category_id, income, expense, transactions from analytics.monthly_sums
where transactions <> 0 and generation = (select current from analytics.generations where part = 'money')
order by user_id, month, currency, category_id
"""
_SOURCE: LiteralString = """
select user_id, (date_trunc(%(unit)s, date::timestamp))::date as day, currency,
    coalesce(category_id, '00000000-0000-0000-0000-000000000000') as category_id,
    coalesce(sum(amount) filter (where kind = 'income'), 0) as income,
    coalesce(sum(amount) filter (where kind = 'expense'), 0) as expense, count(*) as transactions
from transactions where deleted_at is null group by 1, 2, 3, 4 order by 1, 2, 3, 4
"""


class _NoSessions:
    def end_all(self, _: UUID) -> None:
        """No one is signed in."""


@dataclass
class World:
    """People and their books; `database` is the API's, `own` the sink's, and `rebuilding` the command's."""

    database: Database
    own: Database
    rebuilding: Database
    owner: Database
    audit: Database
    people: list[UUID] = field(default_factory=list)
    published: list[Record] = field(default_factory=list)
    deleted_people: set[UUID] = field(default_factory=set)
    _offsets: Counter[str] = field(default_factory=Counter)

    def add_person(self) -> UUID:
        user_id = new_id()
        with self.database.transaction() as session:
            session.execute(
                "insert into users (id, email, name) values (%(id)s, %(email)s, 'Ada')",
                {"id": user_id, "email": f"{user_id}@mail.example"},
            )
            emit(session, UserCreated(sequence=1, user_id=user_id, created_at=_MOMENT), actor_id=user_id)
        self.people.append(user_id)
        return user_id

    def activate(self, user_id: UUID) -> None:
        with self.database.transaction() as session:
            emit(session, UserActivated(sequence=2, user_id=user_id, activated_at=_MOMENT), actor_id=user_id)

    def delete_person(self, user_id: UUID) -> None:
        with self.database.transaction() as session:
            users.delete(session, cast("Sessions", _NoSessions()), user_id)
        self.people.remove(user_id)
        self.deleted_people.add(user_id)

    def sign_in(self, user_id: UUID, *, fails: bool) -> None:
        event = (
            SignInFailed(sequence=1, principal=str(user_id), reason="wrong_password")
            if fails
            else SignedIn(sequence=1, user_id=user_id, session_id=uuid4())
        )
        with self.database.transaction() as session:
            emit(session, event, actor_id=None if fails else user_id)

    def add_category(self, user_id: UUID, kind: transactions.Kind) -> UUID:
        made = categories.make(user_id, kind=kind, name="Food")
        with self._acting(user_id) as session:
            categories.create(session, made, once=WITHOUT_KEY, answer=Answer())
        return made.id

    def delete_category(self, user_id: UUID, category_id: UUID, *, move_to: UUID | None) -> None:
        with self._acting(user_id) as session:
            scope = OwnerScope(session, user_id)
            category = categories.lock(scope, category_id, also=move_to)
            while not category_deletion.delete_part(scope, category, move_to=move_to, limit=1).is_last:
                pass

    def add(self, user_id: UUID, **fields: Any) -> UUID:
        made = transactions.make(user_id, **fields)
        with self._acting(user_id) as session:
            transactions.create(session, made, once=WITHOUT_KEY, answer=Answer())
        return made.id

    def change(self, user_id: UUID, transaction_id: UUID, **values: Any) -> None:
        with self._acting(user_id) as session:
            current = transactions.find(OwnerScope(session, user_id), transaction_id)
            transactions.change(session, current, transactions.changed(current, values))

    def delete(self, user_id: UUID, transaction_id: UUID) -> None:
        with self._acting(user_id) as session:
            transactions.delete(session, transactions.find(OwnerScope(session, user_id), transaction_id))

    @contextmanager
    def _acting(self, user_id: UUID) -> Iterator[Session]:
        with working_for(Origin(actor_id=str(user_id))), self.database.transaction() as session:
            yield session

    def publish(self) -> list[Record]:
        """Take what is in the outbox, as the relay does; the audit log has it. Events get days one after the other."""
        with self.owner.transaction() as session:
            rows = session.fetch_all("delete from outbox_events returning sequence, topic, key, value")
        records = [self._record(row) for row in sorted(rows, key=lambda row: row["sequence"])]
        for record in records:
            with self.audit.transaction() as session:
                AuditSink().write(session, [record])
        self.published += records
        return records

    def _record(self, row: dict[str, Any]) -> Record:
        event = orjson.loads(row["value"])
        time = _MOMENT + dt.timedelta(minutes=7 * len(self.published))
        value = orjson.dumps({**event, "time": time.isoformat().replace("+00:00", "Z")})
        offset = self._offsets[row["topic"]]
        self._offsets[row["topic"]] += 1
        return Record(topic=row["topic"], partition=0, offset=offset, key=row["key"].encode(), value=value)

    def deliver(self, records: Sequence[Record]) -> None:
        """Let the sink write records of one partition in one transaction."""
        with self.own.transaction() as session:
            AnalyticsSink().write(session, records)

    def sums(self) -> list[dict[str, Any]]:
        """Return the sums of days, then those of months."""
        return [*self._rows(_DAYS), *self._rows(_MONTHS)]

    def source_sums(self) -> list[dict[str, Any]]:
        """Return what the tables of transactions add up to, in the same order."""
        return [*self._rows(_SOURCE, unit="day"), *self._rows(_SOURCE, unit="month")]

    def counts(self) -> dict[tuple[dt.date, str], int]:
        """Return the counts of days."""
        return {(row["day"], row["what"]): row["count"] for row in self._rows("select * from analytics.days")}

    def funnel(self) -> dict[dt.date, tuple[int, int, int]]:
        """Return of each day of sign-up how many people signed up, were activated, and have a transaction."""
        rows = self._rows("select * from analytics.funnel")
        return {row["day"]: (row["signed_up"], row["activated"], row["with_transaction"]) for row in rows}

    def people_rows(self) -> list[dict[str, Any]]:
        """Return all rows of the current generation about people."""
        current: LiteralString = "(select current from analytics.generations where part = 'people')"
        return [
            *self._rows(f"select token, signed_up, activated, first_transaction from analytics.people "
                        f"where generation = {current} order by token"),
            *self._rows(f"select day, token from analytics.counted where generation = {current} order by day, token"),
            *self._rows("select * from analytics.days order by day, what"),
        ]  # fmt: skip

    def rows_of_deleted_people(self) -> int:
        """Return how many rows about the money of deleted people there are, of all generations."""
        found = self._rows(
            "select user_id from analytics.transactions union all select user_id from analytics.daily_sums "
            "union all select user_id from analytics.monthly_sums"
        )
        return sum(row["user_id"] in self.deleted_people for row in found)

    def _rows(self, query: LiteralString, **parameters: Any) -> list[dict[str, Any]]:
        with self.owner.transaction() as session:
            return session.fetch_all(query, parameters)


@contextmanager
def world_of(settings: AllSettings) -> Iterator[World]:
    """Yield an empty world on the database of these settings."""
    logins = {"database": "app", "own": "analytics", "rebuilding": "analytics", "owner": "owner", "audit": "audit"}
    schemas = {"own": "analytics", "audit": "audit"}
    opened: dict[str, Any] = {
        name: Database(settings.conninfo(role, application_name="test"), size=1, schema=schemas.get(name))
        for name, role in logins.items()
    }
    for database in opened.values():
        database.open()
    try:
        yield World(**opened)
    finally:
        for database in opened.values():
            database.close()


def expected_people(
    records: Sequence[Record],
) -> tuple[dict[tuple[dt.date, str], int], dict[dt.date, tuple[int, int, int]]]:
    """Return the counts of days and the funnel that events make, computed one by one."""
    active: set[tuple[dt.date, str]] = set()
    counts: Counter[tuple[dt.date, str]] = Counter()
    signed_up: dict[str, dt.date] = {}
    activated, with_transaction = set(), set()
    for event in (orjson.loads(record.value or b"") for record in records):
        day, user = dt.datetime.fromisoformat(event["time"]).date(), event["data"].get("user_id", "")
        if "actorid" in event:
            active.add((day, event["actorid"]))
        if event["type"] == "auth.sign_in":
            counts[day, "sign_ins"] += 1
        if event["type"] == "auth.sign_in_failed":
            counts[day, f"sign_in_failed:{event['data']['reason']}"] += 1
        if event["type"] == "user.created":
            signed_up[user] = day
        if event["type"] == "user.activated":
            activated.add(user)
        if event["type"] == "transaction.created":
            with_transaction.add(user)
    for day, _ in active:
        counts[day, ACTIVE_PEOPLE] += 1
    funnel = {
        day: (
            sum(1 for one in signed_up.values() if one == day),
            sum(1 for user, one in signed_up.items() if one == day and user in activated),
            sum(1 for user, one in signed_up.items() if one == day and user in with_transaction),
        )
        for day in set(signed_up.values())
    }
    return dict(counts), funnel
