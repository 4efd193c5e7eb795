"""Mails from a worker to a mail server: sent, retried, bounced, and not sent when the account does not exist."""

from uuid import UUID, uuid4

import httpx

from moneyflow.accounts import users
from moneyflow.jobs.send_email import SendEmail
from moneyflow.jobs.send_welcome import SendWelcome
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.processes import Processes
from tests.support.waiting import eventually


def _sign_up(database: Database, domain: str) -> tuple[UUID, str]:
    """Sign a person up and return the job that mails them, and their address."""
    address = f"{uuid4().hex}@{domain}"
    with database.transaction() as session:
        return users.sign_up(session, email=address, name="Zoë", password_hash=""), address


def _mails_to(settings: AllSettings, address: str) -> list[dict[str, object]]:
    answer = httpx.get(
        f"{settings.mail_catcher_url}/api/v1/messages", params={"limit": 1000}, trust_env=False, verify=False
    )
    found = answer.raise_for_status().json()["messages"]
    return [mail for mail in found if address in [to["Address"] for to in mail["To"]]]


def test_a_mail_is_sent_once_with_its_jobs_id(platform: AllSettings, database: Database, processes: Processes) -> None:
    processes.relay(wait_ready=False)
    processes.worker()
    job_id, address = _sign_up(database, "example.com")

    jobs.until_all(database, [job_id], "succeeded")

    (mail,) = _mails_to(platform, address)
    assert str(mail["MessageID"]).startswith(str(job_id))
    assert jobs.job(database, job_id)["result"] == {"sent": True}


def test_a_mail_whose_worker_dies_before_it_is_marked_arrives_twice_with_one_id(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    dying = processes.worker(sabotage="dies_at:worker.before_finish:1", wait_ready=False)
    job_id, address = _sign_up(database, "example.com")
    dying.wait()

    processes.worker()
    jobs.until_all(database, [job_id], "succeeded")

    mails = eventually(lambda: _mails_to(platform, address), what="the mails are there")
    assert len(mails) == 2
    assert len({mail["MessageID"] for mail in mails}) == 1


def test_a_deferred_mail_is_retried_and_a_bounce_is_the_result_of_its_job(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    processes.worker()
    (busy, busy_address), (bounced, bounced_address) = (
        _sign_up(database, domain) for domain in ("busy.example", "bounce.example")
    )

    jobs.until_all(database, [busy, bounced], "succeeded")

    assert [attempt["outcome"] for attempt in jobs.attempts(database, busy)] == ["retried", "retried", "succeeded"]
    assert jobs.job(database, bounced)["result"] == {
        "sent": False, "outcome": "bounced", "code": 550, "status": "5.1.1", "reason": "5.1.1 no such mailbox here",
    }  # fmt: skip
    assert len(_mails_to(platform, busy_address)) == 1
    assert _mails_to(platform, bounced_address) == []


def test_the_next_mail_to_an_address_that_bounced_is_suppressed(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    processes.worker()
    bounced, address = _sign_up(database, "bounce.example")
    jobs.until_all(database, [bounced], "succeeded")
    with database.transaction() as session:
        again = users.sign_up(session, email=address, name="Zoë", password_hash="")

    jobs.until_all(database, [again], "succeeded")

    result = jobs.job(database, again)["result"]
    assert (result["sent"], result["outcome"], result["code"]) == (False, "suppressed", 550)


def test_an_account_that_does_not_exist_gets_no_mail_and_the_result_says_so(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    processes.worker()
    with database.transaction() as session:
        ids = [
            enqueue(session, SendEmail(template="activation", user_id=uuid4())),
            enqueue(session, SendWelcome(user_id=uuid4())),
        ]

    jobs.until_all(database, ids, "succeeded")

    for job_id in ids:
        assert jobs.job(database, job_id)["result"] == {"sent": False, "reason": "the account does not exist any more"}
