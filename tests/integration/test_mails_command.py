"""`moneyflow mails`: what operators see of addresses that bounced, and how they end a suppression."""

import pytest

from moneyflow.gateways.mail import Bounce
from moneyflow.jobs.send_email import SendEmail
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from tests.support import people
from tests.support.command_line import moneyflow, moneyflow_json
from tests.support.people import Person
from workers.testing import new_mailbox, run_jobs


@pytest.fixture
def bounced(database: Database) -> list[Person]:
    """Return three people whose addresses bounced, the newest first."""
    found = [people.sign_up(database, name="Zoë") for _ in range(3)]
    mailbox = new_mailbox(bounce=Bounce(code=550, status="5.1.1", reason="5.1.1 no such mailbox"))
    with database.transaction() as session:
        session.execute("delete from jobs")
        for person in found:
            enqueue(session, SendEmail(template="activation", user_id=person.user_id))
            run_jobs(session, kinds=["send_email"], gateways=[mailbox])
    return found[::-1]


def test_suppressed_users_are_listed_for_people_and_for_programs(
    environment: dict[str, str], bounced: list[Person]
) -> None:
    printed = moneyflow(environment, "mails", "suppressed")
    listed = moneyflow_json(environment, "mails", "suppressed")["suppressed"]

    assert printed.returncode == 0, printed.stderr
    assert all(str(person.user_id) in printed.stdout for person in bounced)
    assert [row["user_id"] for row in listed] == [str(person.user_id) for person in bounced]
    assert (listed[0]["code"], listed[0]["status"], listed[0]["reason"]) == (550, "5.1.1", "5.1.1 no such mailbox")
    assert bounced[0].email not in printed.stdout


def test_a_suppression_is_released_by_id_by_address_or_with_all_others(
    environment: dict[str, str], bounced: list[Person]
) -> None:
    first, second, _ = bounced

    assert moneyflow_json(environment, "mails", "release", str(first.user_id)) == {"released": 1}
    assert moneyflow_json(environment, "mails", "release", second.email.upper()) == {"released": 1}
    again = moneyflow(environment, "mails", "release", second.email)
    assert moneyflow_json(environment, "mails", "release", "--all") == {"released": 1}

    assert again.returncode != 0
    assert "no mails to" in again.stderr
    assert "moneyflow mails suppressed" in again.stderr
    assert moneyflow_json(environment, "mails", "suppressed") == {"suppressed": []}


@pytest.mark.parametrize("arguments", [(), ("ada@mail.example", "--all")])
def test_it_releases_one_user_or_all_and_never_by_accident(
    environment: dict[str, str], bounced: list[Person], arguments: tuple[str, ...]
) -> None:
    refused = moneyflow(environment, "mails", "release", *arguments)

    assert refused.returncode == 2
    assert "give either USER" in refused.stderr
    assert len(moneyflow_json(environment, "mails", "suppressed")["suppressed"]) == len(bounced)
