"""The API as a client calls it, in the test's own process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import falcon.testing
import orjson

from api.app import create_app
from moneyflow.accounts import mails
from moneyflow.mails import ACTIVATION, Mail
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.services import services

PASSWORD = "correct horse battery"
EMAIL = "ada@mail.example"


@dataclass
class Api:
    """The application in this process, and what its database shows."""

    client: falcon.testing.TestClient
    database: Database
    settings: AllSettings
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> falcon.testing.Result:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.simulate_request(method, path, json=body, headers={**self.headers, **named})

    def signed_in(self, email: str = EMAIL, password: str = PASSWORD) -> "Api":
        """Return the API as a user calls it who has signed in with a bearer token."""
        answer = self.call("POST", "/v1/sessions", {"email": email, "password": password, "transport": "bearer"})
        assert answer.status_code == 201, answer.text
        return Api(self.client, self.database, self.settings, {"Authorization": f"Bearer {answer.json['token']}"})

    def signed_up(self, email: str = EMAIL, name: str = "Ada", *, role: str = "user") -> "Api":
        """Return the API as a new user calls it who has signed up, activated and signed in."""
        signed_up = self.call("POST", "/v1/users", {"email": email, "name": name, "password": PASSWORD})
        token = self.token(signed_up.json["job_id"], ACTIVATION, email)
        assert self.call("POST", "/v1/users/activation", {"token": token}).status_code == 200
        with self.database.transaction() as session:
            session.execute("update users set role = %(role)s where email = %(email)s", {"role": role, "email": email})
        return self.signed_in(email)

    def token(self, job_id: str, mail: Mail, email: str = EMAIL) -> str:
        """Return the token of the link in the mail that this job sends."""
        with self.database.transaction() as session:
            row = session.fetch_one("select id from users where email = %(email)s", {"email": email})
            assert row is not None
            composed = mails.compose(session, self.settings, mail, user_id=row["id"], job_id=UUID(job_id))
        assert composed is not None
        return str(composed.values["link"]).partition("#token=")[2]

    def events(self) -> list[tuple[str, str]]:
        """Return type and data of all events about signing in, and type of all others."""
        owner = Database(self.settings.conninfo("owner", application_name="test"), size=1)
        owner.open()
        with owner.transaction() as session:
            rows = session.fetch_all("select value from outbox_events order by sequence")
        owner.close()
        events = [orjson.loads(row["value"]) for row in rows]
        assert not any(word in str(event) for event in events for word in ("Ada", "mail.example", PASSWORD))
        return [(event["type"], event["data"].get("reason", "")) for event in events]


@contextmanager
def served(settings: AllSettings, database: Database, **replaced: Any) -> Iterator[Api]:
    """Yield the API on a database of its own role; what the test looks at is read by `database`."""
    own = Database(settings.conninfo("app", application_name="test"), size=4)
    own.open()
    yield Api(falcon.testing.TestClient(create_app(services(settings, own, **replaced))), database, settings)
    own.close()
