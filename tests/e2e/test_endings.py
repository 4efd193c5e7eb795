"""How an attempt can end, on real processes: as its handler, its contract, an operator or an outage has it."""

from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from aiokafka import ConsumerRecord

from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue_many
from moneyflow.platform.jobs.store import control
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.kafka_records import everything_in
from tests.support.kinds import Declared, EndAs, Flaky, OneAtATime, Patient, Versioned
from tests.support.processes import Processes
from tests.support.waiting import eventually


@pytest.fixture
def running(platform: AllSettings, processes: Processes) -> AllSettings:
    processes.relay(wait_ready=False)
    processes.worker()
    return platform


def test_a_handler_says_how_its_attempt_ends_and_only_success_keeps_what_it_wrote(
    running: AllSettings, database: Database
) -> None:
    ids = dict(
        zip(
            ("retry", "snooze", "cancel", "fail", "large", "retried", "snoozed"),
            jobs.enqueue(
                database,
                *[EndAs(how=how, until_fence=fence) for how, fence in (
                    ("retry", 99), ("snooze", 4), ("cancel", 99), ("fail", 99), ("large", 99), ("retry", 1),
                    ("snooze", 1),
                )],
            ),
            strict=True,
        )
    )  # fmt: skip
    ended = {
        "retry": "failed", "snooze": "succeeded", "cancel": "cancelled", "fail": "failed", "large": "failed",
        "retried": "succeeded", "snoozed": "succeeded",
    }  # fmt: skip

    for name, state in ended.items():
        jobs.until_all(database, [ids[name]], state)

    outcomes = {name: [one["outcome"] for one in jobs.attempts(database, ids[name])] for name in ids}
    assert outcomes == {
        "retry": ["retried", "retried", "failed"],
        "snooze": [*["snoozed"] * 4, "succeeded"],
        "cancel": ["cancelled"],
        "fail": ["failed"],
        "large": ["failed"],
        "retried": ["retried", "succeeded"],
        "snoozed": ["snoozed", "succeeded"],
    }
    assert jobs.job(database, ids["snooze"])["attempt"] == 1, "what was put off does not count"
    kept = jobs.effects(database, list(ids.values()))
    assert kept == {ids[name]: 1 for name in ids if ended[name] == "succeeded"}
    reason = jobs.job(database, ids["fail"])
    assert (reason["error_class"], reason["error_message"]) == ("Fail", "hopeless")
    assert "more than 65536 bytes" in jobs.job(database, ids["large"])["error_message"]


def test_a_contract_says_which_errors_are_permanent_and_which_do_not_count(
    running: AllSettings, database: Database
) -> None:
    refused, waits = jobs.enqueue(database, Declared(refused=True), Declared(refused=False))

    jobs.until_all(database, [refused], "failed")
    jobs.until_all(database, [waits], "succeeded")

    assert jobs.job(database, refused)["attempt"] == 1
    row = jobs.job(database, waits)
    assert (row["attempt"], row["result"]) == (1, {"fence": 5})


def test_an_old_payload_is_upgraded_and_a_newer_one_waits_for_workers_that_know_it(
    running: AllSettings, database: Database
) -> None:
    with database.transaction() as session:
        ids = enqueue_many(session, [Versioned(amount_minor=1200, currency="USD")] * 4, delay=timedelta(hours=1))
    stored = [(1, '{"amount": 12}'), (2, '{"amount_minor": 1200}'), (3, '{"amount_minor": 1200, "currency": "USD"}')]
    with database.transaction() as session:
        session.execute("update jobs set version = 4, due_at = now() + interval '2 seconds'")
        for job_id, (version, payload) in zip(ids, stored, strict=False):
            session.execute(
                "update jobs set version = %(version)s, payload = %(payload)s, due_at = now() where id = %(id)s",
                {"id": job_id, "version": version, "payload": payload},
            )

    jobs.until_all(database, ids[:3], "succeeded")
    eventually(lambda: jobs.job(database, ids[3])["parked_reason"], what="the newer one is parked")

    results = [jobs.job(database, job_id)["result"] for job_id in ids[:3]]
    assert results == [
        {"amount_minor": 1200, "currency": "EUR"},
        {"amount_minor": 1200, "currency": "EUR"},
        {"amount_minor": 1200, "currency": "USD"},
    ]
    assert jobs.states(database, [ids[3]]) == {"scheduled": 1}


def test_a_running_job_reports_its_progress_and_stops_when_it_is_cancelled(
    running: AllSettings, database: Database, hold: Path
) -> None:
    cancelled, finished = jobs.enqueue(database, Patient(held_by=str(hold)), Patient(held_by=str(hold)))
    eventually(lambda: all(jobs.job(database, one)["progress"] for one in (cancelled, finished)), what="both report")
    with database.transaction() as session:
        assert control.cancel(session, cancelled) == "running"
    jobs.until_all(database, [cancelled], "cancelled")
    hold.unlink()
    jobs.until_all(database, [finished], "succeeded")

    assert jobs.effects(database, [cancelled, finished]) == {finished: 1}
    row = jobs.job(database, finished)
    assert row["progress"] == {"done": row["result"]["rounds"], "total": 1000, "note": "counting"}


def test_a_unique_key_is_free_again_when_its_job_has_ended(running: AllSettings, database: Database) -> None:
    first, failing = jobs.enqueue(database, OneAtATime(name="a"), OneAtATime(name="b", fails=True))
    jobs.until_all(database, [first], "succeeded")
    jobs.until_all(database, [failing], "failed")

    again = jobs.enqueue(database, OneAtATime(name="a"), OneAtATime(name="b"))

    assert set(again).isdisjoint({first, failing})
    jobs.until_all(database, again, "succeeded")


def test_a_kind_whose_jobs_fail_all_alike_pauses_itself_fails_none_for_good_and_resumes_when_it_works(
    running: AllSettings, database: Database, hold: Path
) -> None:
    ids = jobs.enqueue(database, *[Flaky(down=str(hold)) for _ in range(30)])
    eventually(lambda: _paused_by(database) == "breaker", what="the kind has paused itself")
    eventually(lambda: _probes(database) >= 2, what="it probes, and the outage lasts")
    hold.unlink()

    jobs.until_all(database, ids, "succeeded")

    assert _paused_by(database) is None
    attempts = [len(jobs.attempts(database, job_id)) for job_id in ids]
    assert sum(attempts) < 30 + 25, "most have met the outage not at all"
    events = [orjson.loads(record.value) for record in eventually(lambda: _both_published(running), what="both events")]
    codes = [one["data"]["code"] for one in events]
    assert codes == ["job_kind_paused", "job_kind_resumed"]
    assert "the provider is down, request …" in events[0]["data"]["message"]


def _both_published(settings: AllSettings) -> list[ConsumerRecord]:
    found = everything_in(settings, "system.events")
    return found if len(found) >= 2 else []


def _paused_by(database: Database) -> str | None:
    with database.transaction() as session:
        paused = control.paused(session)
    return paused[0]["paused_by"] if paused else None


def _probes(database: Database) -> int:
    with database.transaction() as session:
        row = session.fetch_one("select count(*) as probes from job_attempts where outcome = 'snoozed'")
    assert row is not None
    return int(row["probes"])
