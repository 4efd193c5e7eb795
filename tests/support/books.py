"""Books: users who keep their categories and transactions by the API, and what is stored of them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import falcon.testing
import orjson

from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from tests.support.api import Api
from tests.support.callers import bearer

#: A transaction as a client sends it.
BREAD = {
    "kind": "expense",
    "amount": "12.30",
    "currency": "EUR",
    "date": "2026-02-28",
    "note": "two loaves",
    "tags": ["bakery", "weekend"],
}
#: An id that nothing has.
NO_ID = "01a00000-0000-7000-8000-000000000000"
GROCERIES = {"kind": "expense", "name": "Groceries", "color": "#2a9d8f"}


@dataclass(frozen=True)
class Book:
    """A user who keeps a book: the API as the user calls it, and the user's id."""

    api: Api
    user_id: UUID

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> falcon.testing.Result:
        """Send a request; `If_Match="read"` stands for the `ETag` of a read just before."""
        if headers.get("If_Match") == "read":
            headers["If_Match"] = self.api.call("GET", path.partition("?")[0]).headers["ETag"]
        return self.api.call(method, path, body, **headers)

    def transaction(self, **fields: Any) -> Any:
        """Add a transaction and return it."""
        answer = self.call("POST", "/v1/transactions", BREAD | fields)
        assert answer.status_code == 201, answer.text
        return answer.json

    def category(self, **fields: Any) -> Any:
        """Add a category and return it."""
        answer = self.call("POST", "/v1/categories", GROCERIES | fields)
        assert answer.status_code == 201, answer.text
        return answer.json


def book_of(api: Api, *, role: str = "user") -> Book:
    """Return the book of a new user, who has signed in."""
    user_id = new_id()
    with api.database.transaction() as session:
        session.execute(
            "insert into users (id, email, name, activated_at) values (%(id)s, %(email)s, 'Ada', now())",
            {"id": user_id, "email": f"{user_id}@mail.example"},
        )
    headers = bearer(api.settings, user_id=user_id, role=role)
    return Book(Api(api.client, api.database, api.settings, headers), user_id)


def pointers_of(answer: falcon.testing.Result) -> list[str]:
    """Return the pointers of the members that a 422 names."""
    assert answer.status_code == 422, answer.text
    return [error["pointer"] for error in answer.json["errors"]]


def events_of(settings: AllSettings, *types: str) -> list[Any]:
    """Return the events in the outbox of these types, or of all, in their order."""
    owner = Database(settings.conninfo("owner", application_name="test"), size=1)
    owner.open()
    with owner.transaction() as session:
        rows = session.fetch_all("select value from outbox_events order by sequence")
    owner.close()
    events = [orjson.loads(row["value"]) for row in rows]
    return [event for event in events if not types or event["type"] in types]
