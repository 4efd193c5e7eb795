"""`send_welcome`: one letter, however often it is asked for."""

from moneyflow.jobs.send_welcome import SendWelcome
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from tests.support import people
from workers.testing import Mailbox, fake_tools, run_jobs


def test_a_person_gets_one_letter_however_often_it_is_asked_for(database: Database) -> None:
    mailbox = Mailbox()
    person = people.sign_up(database, name="Zoë Ångström")

    with database.transaction() as session:
        for _ in range(2):
            enqueue(session, SendWelcome(user_id=person.user_id))
        (ran,) = run_jobs(session, kinds=["send_welcome"], tools=fake_tools(mailer=mailbox))

    assert ran.outcome == "succeeded", ran.error
    (letter,) = mailbox.sent
    assert (letter.subject, letter.to.address) == ("Welcome to Money Flow, Zoë Ångström", person.email)
    assert "your account is active" in letter.text
