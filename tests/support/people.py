"""People as tests need them: signed up, and activated by the link in their mail."""

import re
import uuid
from dataclasses import dataclass
from uuid import UUID

from moneyflow.accounts import users
from moneyflow.accounts.passwords import Passwords
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from tests.support import mails
from tests.support.waiting import eventually

_TOKEN = re.compile(r"#token=([A-Za-z0-9_-]+)")


@dataclass(frozen=True)
class Person:
    """A person with an account."""

    user_id: UUID
    email: str


def add(database: Database) -> UUID:
    """Store an account, as a test needs it that is not about accounts."""
    user_id = new_id()
    with database.transaction() as session:
        session.execute(
            "insert into users (id, email, name, password_hash) values (%(id)s, %(email)s, 'Ada', '')",
            {"id": user_id, "email": f"{user_id.hex}@mail.example"},
        )
    return user_id


def sign_up(database: Database, *, name: str) -> Person:
    """Sign a person up whose address was never there before."""
    email = f"{uuid.uuid4().hex}@mail.example"
    password_hash = Passwords().hash("correct horse battery")
    with database.transaction() as session:
        users.sign_up(session, email=email, name=name, password_hash=password_hash)
        row = session.fetch_one("select id from users where email = %(email)s", {"email": email})
    assert row is not None
    return Person(user_id=row["id"], email=email)


def activate(settings: AllSettings, database: Database, person: Person) -> None:
    """Wait for the person's mail and follow its link."""
    (mail,) = eventually(lambda: mails.to(settings, person.email), what=f"a mail to {person.email}")
    token = _TOKEN.search(mail["Text"])
    assert token is not None
    with database.transaction() as session:
        users.activate(session, token[1])
