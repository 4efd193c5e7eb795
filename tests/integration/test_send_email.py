"""`send_email`: what cannot be in a mail, addresses that bounce, and templates that are not declared."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from prometheus_client import REGISTRY
from psycopg.rows import DictRow

import mail_templates
from moneyflow import mails, retention
from moneyflow.accounts import suppressions, users
from moneyflow.accounts.mails import compose, send
from moneyflow.gateways.mail import Bounce
from moneyflow.jobs.send_email import SendEmail
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import InvalidInputError, UnavailableError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.enqueue import enqueue, enqueue_many
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.command_line import moneyflow
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


#: What the jobs of these mails add to the values of every mail.
_OF_PAYMENT = {"amount": "12.34", "currency": "EUR", "payment_id": "1"}
_OWN_VALUES = {
    "export": {"what": "Your statement", "until": "28 February 2026", "link": "https://localhost/v1/files/1"},
    "receipt": _OF_PAYMENT,
    "refund_receipt": _OF_PAYMENT,
}
_BOUNCE = Bounce(code=550, status="5.1.1", reason="5.1.1 no such mailbox")


def _bounced(database: Database, user_id: UUID, bounce: Bounce = _BOUNCE) -> dict[str, Any] | None:
    return _run(database, new_mailbox(bounce=bounce), user_id).result


def _suppressions(database: Database) -> list[DictRow]:
    with database.transaction() as session:
        return session.fetch_all("select * from mail_suppressions order by bounced_at")


def _counted(outcome: str) -> float:
    labels = {"template": "activation", "outcome": outcome}
    return REGISTRY.get_sample_value("moneyflow_emails_total", labels) or 0


def test_a_bounce_is_the_result_of_a_mail_and_the_next_mail_is_not_sent(database: Database) -> None:
    user_id = _stored(database)
    mailbox, before = new_mailbox(bounce=_BOUNCE), (_counted("bounced"), _counted("suppressed"))

    first = _run(database, mailbox, user_id)
    mailbox.bounce = None
    second = _run(database, mailbox, user_id)

    assert (first.outcome, second.outcome, mailbox.sent) == ("succeeded", "succeeded", [])
    assert first.result == {
        "sent": False, "outcome": "bounced", "code": 550, "status": "5.1.1", "reason": "5.1.1 no such mailbox",
    }  # fmt: skip
    assert second.result is not None
    assert (second.result["sent"], second.result["outcome"]) == (False, "suppressed")
    assert (second.result["code"], second.result["status"]) == (550, "5.1.1")
    assert (_counted("bounced") - before[0], _counted("suppressed") - before[1]) == (1, 1)


def test_who_has_an_account_is_mailed_so_once_a_day_however_often_the_address_signs_up(database: Database) -> None:
    user_id, mailbox = _stored(database), new_mailbox()
    with database.transaction() as session:
        session.execute("update users set activated_at = now()")

    results = []
    for age in ("0 hours", "23 hours", "2 hours"):
        with database.transaction() as session:
            session.execute("update sent_mails set sent_at = sent_at - cast(%(age)s as interval)", {"age": age})
            job_id = users.sign_up(session, email="zoe@mail.example", name="A stranger", password_hash="")
            (ran,) = run_jobs(session, kinds=["send_email"], gateways=[mailbox])
        assert (ran.outcome, jobs.job(database, job_id)["payload"]["user_id"]) == ("succeeded", str(user_id))
        results.append(ran.result)

    repeated = {"sent": False, "outcome": "repeated", "reason": "another one was sent within 24 hours"}
    assert results == [{"sent": True}, repeated, {"sent": True}]
    assert [mail.template for mail in mailbox.sent] == ["already_registered"] * 2


def test_a_mail_that_is_due_once_a_day_is_sent_again_by_its_own_job_after_an_outage(
    settings: AllSettings, database: Database
) -> None:
    user_id, mailbox, job_id = _stored(database), new_mailbox(), new_id()
    mail = mails.ALREADY_REGISTERED
    for error in (UnavailableError("the mail server is down"), None):
        mailbox.error = error
        with database.transaction() as session, suppress(UnavailableError):
            result = send(session, mailbox, settings, mail, user_id=user_id, job_id=job_id)

    assert (result, len(mailbox.sent)) == ({"sent": True}, 1)


def test_an_address_that_bounced_stays_suppressed_when_a_sign_up_replaces_its_account(database: Database) -> None:
    with database.transaction() as session:
        users.sign_up(session, email="zoe@mail.example", name="Zoë", password_hash="")
        run_jobs(session, kinds=["send_email"], gateways=[new_mailbox(bounce=_BOUNCE)])
    before, mailbox = _suppressions(database), new_mailbox()

    with database.transaction() as session:
        users.sign_up(session, email="Zoe@mail.example", name="Zoë", password_hash="")
        (ran,) = run_jobs(session, kinds=["send_email"], gateways=[mailbox])

    assert ran.result is not None
    assert (ran.result["outcome"], mailbox.sent) == ("suppressed", [])
    assert [row["address_hash"] for row in _suppressions(database)] == [row["address_hash"] for row in before]
    assert [row["user_id"] for row in _suppressions(database)] != [row["user_id"] for row in before]


def test_a_suppressed_mail_leaves_no_token_behind(database: Database) -> None:
    user_id = _stored(database)
    _bounced(database, user_id)
    with database.transaction() as session:
        session.execute("delete from user_tokens")

    _run(database, new_mailbox(), user_id)

    with database.transaction() as session:
        assert session.fetch_all("select 1 from user_tokens") == []


def test_a_suppression_ends_after_a_week_and_a_new_bounce_begins_another(database: Database) -> None:
    user_id, mailbox = _stored(database), new_mailbox()
    _bounced(database, user_id)
    (row,) = _suppressions(database)
    assert row["expires_at"] - row["bounced_at"] == pytest.approx(timedelta(days=7), abs=timedelta(minutes=1))
    with database.transaction() as session:
        session.execute("update mail_suppressions set expires_at = clock_timestamp()")

    assert _run(database, mailbox, user_id).result == {"sent": True}
    assert _bounced(database, user_id) is not None

    (later,) = _suppressions(database)
    assert later["expires_at"] > row["expires_at"]
    suppressed = _run(database, mailbox, user_id).result
    assert suppressed is not None
    assert (suppressed["outcome"], len(mailbox.sent)) == ("suppressed", 1)


def test_a_full_mailbox_bounces_and_the_next_mail_is_sent(database: Database) -> None:
    user_id, mailbox = _stored(database), new_mailbox()
    full = Bounce(code=552, status="5.2.2", reason="5.2.2 the mailbox is full", is_lasting=False)

    result = _bounced(database, user_id, full)

    assert result is not None
    assert (result["outcome"], _suppressions(database)) == ("bounced", [])
    assert _run(database, mailbox, user_id).result == {"sent": True}


def test_a_suppression_is_of_one_address_whatever_its_case(database: Database) -> None:
    bounced, other = _stored(database), _stored(database, email="other@mail.example")
    _bounced(database, bounced)

    def changed_to(email: str) -> dict[str, Any] | None:
        with database.transaction() as session:
            session.execute("update users set email = %(email)s where id = %(id)s", {"email": email, "id": bounced})
        return _run(database, new_mailbox(), bounced).result

    upper = changed_to("ZOE@Mail.Example")
    assert upper is not None
    assert upper["outcome"] == "suppressed"
    assert changed_to("zoe.new@mail.example") == {"sent": True}
    assert _run(database, new_mailbox(), other).result == {"sent": True}


def test_a_suppression_holds_no_address_and_is_deleted_with_the_account(database: Database) -> None:
    user_id = _stored(database)
    _bounced(database, user_id)

    (row,) = _suppressions(database)

    assert "zoe@mail.example" not in str(row)
    assert hashlib.sha256(b"zoe@mail.example").digest() != row["address_hash"]
    with database.transaction() as session:
        session.execute("delete from users where id = %(id)s", {"id": user_id})
    assert _suppressions(database) == []


def test_a_bounce_of_an_account_that_was_deleted_meanwhile_leaves_no_suppression(
    settings: AllSettings, database: Database
) -> None:
    with database.transaction() as session:
        suppressions.add(session, settings, _BOUNCE, user_id=new_id(), address="zoe@mail.example")

    assert _suppressions(database) == []


def test_expired_suppressions_are_purged(settings: AllSettings, database: Database) -> None:
    _bounced(database, _stored(database))
    _bounced(database, _stored(database, email="other@mail.example"))
    with database.transaction() as session:
        session.execute("update mail_suppressions set expires_at = clock_timestamp() where bounced_at = "
                        "(select max(bounced_at) from mail_suppressions)")  # fmt: skip

    with database.transaction() as session:
        deleted = retention.purge(session, settings, seconds=30)["mail_suppressions"]

    assert (deleted, len(_suppressions(database))) == (1, 1)


def _wrong(user_id: UUID) -> SendEmail:
    return SendEmail(template="activatoin", user_id=user_id)


@pytest.mark.parametrize(
    "leave",
    [
        lambda session, user_id: enqueue(session, _wrong(user_id)),
        lambda session, user_id: enqueue(session, _wrong(user_id), delay=timedelta(days=1)),
        lambda session, user_id: enqueue_many(session, [_wrong(user_id)], priority=3),
        lambda session, user_id: enqueue_many(
            session, [*[SendEmail(template="welcome", user_id=user_id) for _ in range(1200)], _wrong(user_id)]
        ),
        lambda session, user_id: batches.submit(session, [_wrong(user_id)], name="mails"),
        lambda session, user_id: batches.submit(session, [], name="mails", on_end=_wrong(user_id)),
    ],
    ids=["one job", "a delayed job", "with a priority", "the last of many", "in a batch", "at the end of a batch"],
)
def test_a_template_that_is_not_declared_is_refused_when_its_job_is_enqueued(
    leave: Callable[[Session, UUID], object], database: Database
) -> None:
    with database.transaction() as session:
        with pytest.raises(InvalidInputError, match="template 'activatoin' is not a declared mail") as caught:
            leave(session, new_id())

        assert [pointer for pointer, _ in caught.value.errors] == ["/template"]
        assert session.fetch_all("select 1 from jobs") == []


def test_an_operator_who_names_no_declared_template_sees_the_field(environment: dict[str, str]) -> None:
    refused = moneyflow(environment, "jobs", "enqueue", "send_email", f'{{"template": "x", "user_id": "{new_id()}"}}')

    assert refused.returncode == 2
    assert "template 'x' is not a declared mail" in refused.stderr


def test_a_stored_template_that_this_version_does_not_declare_is_parked_and_good_mails_are_sent(
    database: Database,
) -> None:
    mailbox, user_id = new_mailbox(), _stored(database)
    with database.transaction() as session:
        later = enqueue(session, SendEmail(template="activation", user_id=user_id))
        session.execute('update jobs set payload = payload || \'{"template": "of_tomorrow"}\'')
        good = enqueue(session, SendEmail(template="activation", user_id=user_id))

        ran = {job.job_id: job.outcome for job in run_jobs(session, kinds=["send_email"], gateways=[mailbox])}

    assert ran == {later: "parked", good: "succeeded"}
    assert [mail.job_id for mail in mailbox.sent] == [good]


@pytest.mark.parametrize("name", sorted(mails.registry))
def test_every_declared_mail_is_rendered_from_the_values_that_it_is_sent_with(
    name: str, settings: AllSettings, database: Database
) -> None:
    user_id, job_id = _stored(database), new_id()
    with psycopg.connect(settings.conninfo("app", application_name="test")) as api:
        api.execute(
            "insert into email_changes (id, user_id, new_email, expires_at) "
            "values (%s, %s, 'n@mail.example', 'infinity')",
            [job_id, user_id],
        )

    with database.transaction() as session:
        mail = compose(session, settings, mails.registry[name], user_id=user_id, job_id=job_id)

    assert mail is not None
    assert mail_templates.render(name, mail.values | _OWN_VALUES.get(name, {})).subject
