"""`send_email`: what is stored about a person and cannot be in a mail, fails for good or is left out."""

from uuid import UUID

import pytest

from moneyflow.jobs.send_email import SendEmail
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue
from tests.support.mail_headers import ENCODED_WORDS, LINE_BREAKS
from workers.testing import Mailbox, Ran, new_mailbox, run_jobs


def _stored(database: Database, *, name: str = "Zoë", email: str = "zoe@mail.example") -> UUID:
    """Store a person as an older version might have, without a check."""
    user_id = new_id()
    with database.transaction() as session:
        session.execute(
            "insert into users (id, email, name, password_hash) values (%(id)s, %(email)s, %(name)s, '')",
            {"id": user_id, "email": email, "name": name},
        )
    return user_id


def _run(database: Database, mailbox: Mailbox, user_id: UUID) -> Ran:
    with database.transaction() as session:
        enqueue(session, SendEmail(template="activation", user_id=user_id))
        (ran,) = run_jobs(session, kinds=["send_email"], gateways=[mailbox])
    return ran


@pytest.mark.parametrize("name", [*ENCODED_WORDS[:4], *LINE_BREAKS[:4], "Zo\u202eë"])
def test_a_stored_name_that_would_forge_a_mail_fails_its_job_for_good(name: str, database: Database) -> None:
    mailbox = new_mailbox()

    ran = _run(database, mailbox, _stored(database, name=name))

    assert (ran.outcome, mailbox.sent) == ("failed", [])
    assert "the mail's headers cannot be written" in str(ran.error)


def test_a_stored_address_with_a_name_fails_its_job_for_good(database: Database) -> None:
    mailbox = new_mailbox()

    ran = _run(database, mailbox, _stored(database, email="Foo <a@b.example>"))

    assert (ran.outcome, mailbox.sent) == ("failed", [])
    assert "must be an address such as ada@mail.example" in str(ran.error)


def test_a_stored_name_with_a_link_is_left_out_of_the_mail(database: Database) -> None:
    mailbox = new_mailbox()

    ran = _run(database, mailbox, _stored(database, name="Win at https://evil.example"))

    assert ran.outcome == "succeeded"
    (mail,) = mailbox.sent
    assert (mail.to.name, "Hello friend," in mail.text) == ("", True)
    assert b"evil" not in mail.message.content
