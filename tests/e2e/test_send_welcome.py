"""`send_welcome`: one mail, once the account is active."""

from moneyflow.jobs.send_welcome import SendWelcome
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import jobs, mails, people
from tests.support.processes import Processes


def test_a_person_who_activates_gets_one_mail(platform: AllSettings, database: Database, processes: Processes) -> None:
    processes.relay()
    processes.worker()
    person = people.sign_up(database, name="Zoë Ångström")
    people.activate(platform, database, person)

    again = jobs.enqueue(database, SendWelcome(user_id=person.user_id))
    jobs.until_all(database, again, "succeeded")

    (mail,) = mails.to(platform, person.email, subject="Welcome to Money Flow, Zoë Ångström")
    assert "your account is active" in mail["Text"]
    assert mail["MessageID"].startswith(str(again[0]))
