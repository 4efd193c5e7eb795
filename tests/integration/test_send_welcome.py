"""`send_welcome`: one mail, however often it is enqueued."""

from moneyflow.jobs.send_welcome import SendWelcome
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from tests.support import people
from workers.testing import new_mailbox, run_jobs


def test_a_person_gets_one_mail_however_often_it_is_enqueued(database: Database) -> None:
    mailbox = new_mailbox()
    person = people.sign_up(database, name="Zoë Ångström")

    with database.transaction() as session:
        for _ in range(2):
            enqueue(session, SendWelcome(user_id=person.user_id))
        (ran,) = run_jobs(session, kinds=["send_welcome"], gateways=[mailbox])

    assert ran.outcome == "succeeded", ran.error
    (mail,) = mailbox.sent
    assert (mail.subject, mail.to.address) == ("Welcome to Money Flow, Zoë Ångström", person.email)
    assert "your account is active" in mail.text
