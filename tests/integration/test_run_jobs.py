"""`run_jobs`: due jobs run in the test's own transaction, and end as they would in a worker."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from moneyflow.jobs.send_email import SendEmail
from moneyflow.jobs.send_welcome import SendWelcome
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import PermanentError, UnavailableError
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.jobs.limits import Limit
from moneyflow.platform.jobs.store import control
from moneyflow.platform.jobs.store.status import job_detail
from moneyflow.settings import AllSettings
from tests.support import effects, jobs, people
from tests.support.effects import LeaveEffect
from tests.support.kinds import Declared, EndAs, Versioned
from tests.support.members import Gather, Link, Spread
from workers.handlers import Context, Result, handles
from workers.testing import new_mailbox, run_jobs

_HOUR = timedelta(hours=1)


class CommitThenFail(Job, kind="commit_then_fail", breaker=None):
    """Leave an effect and commit, leave another one, and fail."""


class Misspell(Job, kind="misspell", breaker=None):
    """Run a statement that Postgres refuses."""


class Restless(Job, kind="restless"):
    """Enqueue another of its kind, always."""


class Quit(Job, kind="quit"):
    """Ask the process to end."""


class OneByOne(Job, kind="one_by_one", limit=Limit(name="one_by_one", concurrency=1)):
    """Take the one place under a limit."""


class Report(Job, kind="report_progress"):
    """Report progress."""


@handles(CommitThenFail)
def commit_then_fail(context: Context, _job: CommitThenFail) -> Result:
    effects.leave_effect(context, LeaveEffect())
    context.session.after_commit(lambda: _CALLED.append("after commit"))
    context.session.commit()
    effects.leave_effect(context, LeaveEffect())
    raise UnavailableError("not now")


@handles(Misspell)
def misspell(context: Context, _job: Misspell) -> Result:
    context.session.execute("selekt 1")
    return None


@handles(Restless)
def restless(context: Context, _job: Restless) -> Result:
    enqueue(context.session, Restless())
    return None


@handles(Quit)
def quit_process(_context: Context, _job: Quit) -> Result:
    raise SystemExit(3)


@handles(OneByOne)
def one_by_one(_context: Context, _job: OneByOne) -> Result:
    return None


@handles(Report)
def report(context: Context, _job: Report) -> Result:
    context.progress(1, 2, "half")
    return None


_CALLED: list[str] = []


@pytest.fixture
def session(settings: AllSettings, database: Database) -> Iterator[Session]:
    effects.create_table(settings)
    with database.transaction() as session:
        yield session


def _states(session: Session, *ids: UUID) -> list[str]:
    return [job_detail(session, job_id).job["state"] for job_id in ids]


def _effects(session: Session) -> list[UUID]:
    return [row["job_id"] for row in session.fetch_all("select job_id from effects")]


def test_due_jobs_run_by_priority_and_age_and_nothing_is_committed(database: Database, session: Session) -> None:
    ids = [enqueue(session, LeaveEffect(rank=rank)) for rank in (5, 0, 10, 5)]

    ran = run_jobs(session)

    assert [job.job_id for job in ran] == [ids[2], ids[0], ids[3], ids[1]]
    assert {(job.kind, job.attempt, job.outcome, job.error) for job in ran} == {("leave_effect", 1, "succeeded", None)}
    assert [job.result for job in ran] == [{"left": True}] * 4
    assert sorted(_effects(session)) == sorted(ids)
    assert jobs.states(database, ids) == {}, "no other connection sees them"


def test_jobs_that_a_job_enqueues_run_too_until_none_is_due(session: Session) -> None:
    enqueue(session, Link(more=3))

    ran = run_jobs(session)

    assert [job.kind for job in ran] == ["link"] * 4
    assert [job.result is None for job in ran] == [False, False, False, True]
    assert run_jobs(session) == []


def test_a_job_that_is_due_later_waits_unless_until_is_given(session: Session) -> None:
    now = datetime.now(UTC)
    soon = enqueue(session, LeaveEffect(), delay=_HOUR)
    late = enqueue(session, LeaveEffect(), at=now + 3 * _HOUR)

    at_once = run_jobs(session)
    within_two_hours = run_jobs(session, until=now + 2 * _HOUR)

    assert at_once == []
    assert [job.job_id for job in within_two_hours] == [soon]
    assert _states(session, soon, late) == ["succeeded", "scheduled"]


def test_only_the_given_kinds_run(session: Session) -> None:
    first, second = enqueue(session, LeaveEffect()), enqueue(session, Link())

    assert [job.job_id for job in run_jobs(session, kinds=["link"])] == [second]
    assert run_jobs(session, kinds=[]) == []
    assert _states(session, first, second) == ["scheduled", "succeeded"]


def test_an_error_rolls_the_handler_back_and_the_job_waits_for_its_next_attempt(session: Session) -> None:
    job_id = enqueue(session, LeaveEffect(failures=1))

    (failed,) = run_jobs(session)
    left = (_states(session, job_id), _effects(session))
    (retried,) = run_jobs(session, until=datetime.now(UTC) + _HOUR)

    assert (failed.outcome, failed.result) == ("retried", None)
    assert isinstance(failed.error, UnavailableError)
    assert left == (["retrying"], [])
    assert (retried.attempt, retried.outcome) == (2, "succeeded")
    assert _effects(session) == [job_id]


def test_a_job_fails_when_its_attempts_are_used_up_and_at_once_after_a_permanent_error(session: Session) -> None:
    stubborn, hopeless = (
        enqueue(session, LeaveEffect(failures=9)),
        enqueue(session, LeaveEffect(permanent=True)),
    )
    later = datetime.now(UTC) + _HOUR

    attempts = [run_jobs(session, until=later) for _ in range(4)]

    by_job = {
        job_id: [(job.attempt, job.outcome) for ran in attempts for job in ran if job.job_id == job_id]
        for job_id in (stubborn, hopeless)
    }
    assert by_job[stubborn] == [(1, "retried"), (2, "retried"), (3, "failed")]
    assert by_job[hopeless] == [(1, "failed")]
    assert _states(session, stubborn, hopeless) == ["failed", "failed"]
    assert isinstance(attempts[0][1].error, PermanentError)


@pytest.mark.parametrize(
    ("how", "outcome", "state"),
    [
        ("retry", "retried", "retrying"),
        ("snooze", "snoozed", "scheduled"),
        ("cancel", "cancelled", "cancelled"),
        ("fail", "failed", "failed"),
        ("large", "failed", "failed"),
    ],
)
def test_an_ending_that_the_handler_returns_is_written(how: str, outcome: str, state: str, session: Session) -> None:
    job_id = enqueue(session, EndAs(how=how))

    (ran,) = run_jobs(session)

    assert ran.outcome == outcome
    assert ran.error is not None
    assert _states(session, job_id) == [state]
    assert _effects(session) == []


def test_a_statement_that_postgres_refuses_ends_its_attempt_and_not_the_test(session: Session) -> None:
    broken, sound = enqueue(session, Misspell()), enqueue(session, LeaveEffect())

    ran = run_jobs(session)

    assert [(job.job_id, job.outcome) for job in ran] == [(broken, "retried"), (sound, "succeeded")]
    assert 'syntax error at or near "selekt"' in str(ran[0].error)


def test_a_handlers_commit_survives_its_later_error_and_callbacks_run_after_the_sessions_own_commit(
    session: Session,
) -> None:
    _CALLED.clear()
    enqueue(session, CommitThenFail())

    (ran,) = run_jobs(session)
    before = list(_CALLED)
    session.commit()

    assert ran.outcome == "retried"
    assert len(_effects(session)) == 1
    assert (before, _CALLED) == ([], ["after commit"])


def test_a_session_that_is_rolled_back_leaves_nothing(settings: AllSettings, database: Database) -> None:
    effects.create_table(settings)
    with database.transaction() as session:
        job_id = enqueue(session, LeaveEffect())
        session.commit()
        ran = run_jobs(session)
        session.release()

    assert [job.outcome for job in ran] == ["succeeded"]
    assert jobs.states(database, [job_id]) == {"scheduled": 1}
    assert jobs.effects(database, [job_id]) == {}


def test_the_progress_that_a_handler_reports_is_stored(session: Session) -> None:
    enqueue(session, Report())

    run_jobs(session)

    row = session.fetch_one("select state, progress from jobs")
    assert row == {"state": "succeeded", "progress": {"done": 1, "total": 2, "note": "half"}}


def test_limits_delay_no_job_and_a_paused_kind_waits(session: Session) -> None:
    placed = [enqueue(session, OneByOne()) for _ in range(3)]
    paused = enqueue(session, Versioned(amount_minor=1, currency="EUR"))
    control.pause(session, "versioned", by="test", reason="to see it wait")

    ran = run_jobs(session)

    assert [job.job_id for job in ran] == placed
    assert _states(session, paused) == ["scheduled"]


def test_an_old_payload_is_upgraded_and_one_of_a_newer_version_is_parked(session: Session) -> None:
    old, new = (enqueue(session, Versioned(amount_minor=1, currency="EUR")) for _ in range(2))
    session.execute("update jobs set version = 1, payload = '{\"amount\": 7}' where id = %(id)s", {"id": old})
    session.execute("update jobs set version = 4 where id = %(id)s", {"id": new})

    ran = run_jobs(session)

    assert ran[0].result == {"amount_minor": 700, "currency": "EUR"}
    assert ran[1].outcome == "parked"


def test_a_mail_that_only_a_newer_version_declares_is_parked(session: Session, database: Database) -> None:
    person = people.sign_up(database, name="Zoë")
    job_id = enqueue(session, SendEmail(template="welcome", user_id=person.user_id))
    session.execute('update jobs set payload = payload || \'{"template": "newer"}\' where id = %(id)s', {"id": job_id})
    mailbox = new_mailbox()

    ran = [job for job in run_jobs(session, kinds=["send_email"], gateways=[mailbox]) if job.job_id == job_id]

    assert [(job.outcome, str(job.error)) for job in ran] == [
        ("parked", "mail 'newer' is not declared in this version; deploy workers that declare it")
    ]
    assert all(mail.job_id != job_id for mail in mailbox.sent)


def test_an_uncounted_error_counts_no_attempt(session: Session) -> None:
    enqueue(session, Declared(refused=False))

    (first,) = run_jobs(session)
    (second,) = run_jobs(session, until=datetime.now(UTC) + _HOUR)

    assert (first.outcome, first.attempt) == ("snoozed", 1)
    assert (second.outcome, second.attempt) == ("snoozed", 1)


def test_a_batch_ends_with_its_members_and_its_end_runs_in_the_same_call(session: Session) -> None:
    batch_id = batches.submit(session, [Spread(depth=2)], name="test", on_end=Gather())

    ran = run_jobs(session)

    assert [job.kind for job in ran] == ["spread"] * 7 + ["gather"]
    assert ran[-1].result == {"counts": {"succeeded": 7}}
    assert batches.status(session, batch_id).state == "ended"


def test_a_batch_that_a_failed_member_cancels_ends_too(session: Session) -> None:
    members = [LeaveEffect(permanent=True, rank=9), LeaveEffect(rank=8)]
    batch_id = batches.submit(session, members, name="test", on_end=Gather(), on_failure="cancel")
    later = batches.add(session, batch_id, [LeaveEffect()])
    session.execute("update jobs set due_at = due_at + interval '1 hour' where id = any(%(ids)s)", {"ids": later})

    ran = run_jobs(session)

    assert [(job.kind, job.outcome) for job in ran] == [
        ("leave_effect", "failed"), ("leave_effect", "succeeded"), ("gather", "succeeded"),
    ]  # fmt: skip
    assert ran[-1].result == {"counts": {"failed": 1, "succeeded": 1, "cancelled": 1}}


def test_a_job_that_enqueues_itself_for_ever_is_reported(session: Session) -> None:
    enqueue(session, Restless())

    with pytest.raises(RuntimeError, match=r"5 jobs have run and job .* does one enqueue itself for ever"):
        run_jobs(session, at_most=5)


def test_an_error_that_ends_a_process_ends_the_test(session: Session) -> None:
    enqueue(session, Quit())

    with pytest.raises(SystemExit):
        run_jobs(session)


def test_mails_are_rendered_and_kept_or_fail_with_the_mailboxs_error(session: Session, database: Database) -> None:
    person = people.sign_up(database, name="Zoë")
    first = enqueue(session, SendWelcome(user_id=person.user_id))
    missing = enqueue(session, SendWelcome(user_id=uuid4()))
    mailbox = new_mailbox(error=UnavailableError("the mail server deferred the mail"))

    refused = run_jobs(session, kinds=["send_welcome"], gateways=[mailbox])
    mailbox.error = None
    later = datetime.now(UTC) + _HOUR
    (sent,) = run_jobs(session, kinds=["send_welcome"], until=later, gateways=[mailbox])

    assert [(job.job_id, job.outcome) for job in refused] == [(first, "retried"), (missing, "succeeded")]
    assert sent.result == {"sent": True}
    (mail,) = mailbox.sent
    assert (mail.template, mail.to.address, mail.job_id) == ("welcome", person.email, first)
    assert "Zoë" in mail.subject + mail.text + mail.html


def test_without_gateways_of_its_own_a_test_reaches_no_outside_service(session: Session, database: Database) -> None:
    person = people.sign_up(database, name="Zoë")
    enqueue(session, SendWelcome(user_id=person.user_id))

    (ran,) = run_jobs(session, kinds=["send_welcome"])

    assert (ran.outcome, ran.result) == ("succeeded", {"sent": True})
