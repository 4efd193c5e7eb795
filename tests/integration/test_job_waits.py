"""`?wait=`: a request waits until its job ends, without a connection, and at most a quarter of the threads wait."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import UUID

import falcon.testing
import pytest

from api.app import create_app
from moneyflow.jobs.purge import Purge
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.jobs.waits import JobWaits
from moneyflow.platform.telemetry.origin import Origin, working_for
from moneyflow.settings import AllSettings
from tests.support import callers, jobs
from tests.support.services import services
from tests.support.waiting import eventually

_USER = new_id()
#: Seconds of a wait that is to end earlier, because the job does.
_LONG = 20


@pytest.fixture
def job_id(database: Database) -> UUID:
    with database.transaction() as session, working_for(Origin(actor_id=str(_USER))):
        return enqueue(session, Purge())


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def _taken(waits: JobWaits, places: int = 1) -> bool:
    """Return whether that many requests wait; a request of its own would take a place for the moment of the look."""
    return len(waits._waiters) >= places


def _start(pool: ThreadPoolExecutor, waits: JobWaits, job_id: UUID) -> "Future[bool]":
    """Let a request wait for a job, at the only place that there is."""
    waiting = pool.submit(waits.wait, job_id, seconds=_LONG, is_stranger=False)
    eventually(lambda: _taken(waits), what="the request waits")
    return waiting


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled", "discarded"])
def test_a_wait_ends_when_the_job_does(database: Database, job_id: UUID, pool: ThreadPoolExecutor, state: str) -> None:
    waits = JobWaits(database, places=1)
    waiting = _start(pool, waits, job_id)

    jobs.change(database, job_id, state="running")
    jobs.change(database, job_id, state="retrying")
    assert not waiting.done()
    jobs.change(database, job_id, state=state)

    assert waiting.result(_LONG / 2) is True
    assert not _taken(waits)


def test_a_wait_for_a_job_that_is_deleted_ends(database: Database, job_id: UUID, pool: ThreadPoolExecutor) -> None:
    waiting = _start(pool, JobWaits(database, places=1), job_id)

    with database.transaction() as session:
        session.execute("delete from jobs")

    assert waiting.result(_LONG / 2) is True


def test_a_request_that_waits_holds_no_connection(settings: AllSettings, database: Database, job_id: UUID) -> None:
    single = Database(settings.conninfo("app", application_name="test"), size=1, timeout_seconds=5)
    single.open()
    waits = JobWaits(single, places=3)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(waits.wait, job_id, seconds=_LONG, is_stranger=False) for _ in range(3)]
        eventually(lambda: _taken(waits, 3), what="three requests wait")

        with single.transaction() as session:
            assert session.fetch_one("select 1 as one") == {"one": 1}

        jobs.change(database, job_id, state="succeeded")
        assert [one.result(_LONG / 2) for one in waiting] == [True] * 3
    single.close()


def test_all_that_wait_share_one_query_and_none_runs_while_none_waits(
    database: Database, job_id: UUID, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def counted(session: object, ids: list[UUID]) -> list[object]:
        asked.append(len(ids))
        return [{"id": job_id, "has_ended": False, "is_done": False}]

    monkeypatch.setattr("moneyflow.platform.jobs.waits.endings", counted)
    waits = JobWaits(database, places=3, poll_seconds=0.01)

    waiting = [pool.submit(waits.wait, job_id, seconds=1, is_stranger=False) for _ in range(3)]
    eventually(lambda: 3 in asked, what="one query for three requests")
    results = [one.result() for one in waiting]

    assert results == [True] * 3
    eventually(lambda: "job-waits" not in [thread.name for thread in threading.enumerate()], what="no thread asks")


def test_a_wait_survives_a_query_that_fails(
    database: Database, job_id: UUID, pool: ThreadPoolExecutor, settings: AllSettings
) -> None:
    broken = Database(settings.conninfo("app", application_name="test"), size=1, timeout_seconds=0.01)
    waits = JobWaits(broken, places=1, poll_seconds=0.01)
    waiting = _start(pool, waits, job_id)
    jobs.change(database, job_id, state="succeeded")
    broken.open()

    assert waiting.result(_LONG / 2) is True
    broken.close()


def _client(settings: AllSettings, database: Database, waits: JobWaits) -> falcon.testing.TestClient:
    headers = callers.bearer(settings, user_id=_USER)
    return falcon.testing.TestClient(create_app(services(settings, database, waits=waits)), headers=headers)


def test_a_job_that_ends_is_answered_at_once_with_its_end(
    settings: AllSettings, database: Database, job_id: UUID, pool: ThreadPoolExecutor
) -> None:
    waits = JobWaits(database, places=1)
    client = _client(settings, database, waits)
    waiting = pool.submit(client.simulate_get, f"/v1/jobs/{job_id}", params={"wait": _LONG})
    eventually(lambda: _taken(waits), what="the request waits")

    jobs.change(database, job_id, state="succeeded")
    answer = waiting.result(_LONG / 2)

    assert (answer.status_code, answer.json["state"]) == (200, "succeeded")
    assert "Retry-After" not in answer.headers


def test_where_all_places_are_taken_the_answer_comes_at_once_and_says_when_to_ask_again(
    settings: AllSettings, database: Database, job_id: UUID
) -> None:
    client = _client(settings, database, JobWaits(database, places=0))

    answers = [client.simulate_get(f"/v1/jobs/{job_id}", params={"wait": _LONG}) for _ in range(20)]

    assert {answer.json["state"] for answer in answers} == {"scheduled"}
    after = {int(answer.headers["Retry-After"]) for answer in answers}
    assert len(after) > 1, "clients that were refused at one moment do not come again at one moment"
    assert after <= set(range(5, 11))


@pytest.mark.parametrize(("due_in", "after"), [("-1 second", 2), ("30 seconds", 30), ("1 day", 60)])
def test_the_answer_about_an_unfinished_job_says_when_to_ask_again(
    settings: AllSettings, database: Database, job_id: UUID, due_in: str, after: int
) -> None:
    client = _client(settings, database, JobWaits(database, places=1))
    with database.transaction() as session:
        session.execute("update jobs set due_at = clock_timestamp() + %(due)s::interval", {"due": due_in})

    assert client.simulate_get(f"/v1/jobs/{job_id}").headers["Retry-After"] == str(after)
    jobs.change(database, job_id, state="failed")
    assert "Retry-After" not in client.simulate_get(f"/v1/jobs/{job_id}").headers


def test_the_answer_about_an_open_batch_says_when_to_ask_again(settings: AllSettings, database: Database) -> None:
    client = _client(settings, database, JobWaits(database, places=1))
    with database.transaction() as session, working_for(Origin(actor_id=str(_USER))):
        batch_id = batches.submit(session, [Purge()], name="x")

    assert client.simulate_get(f"/v1/batches/{batch_id}").headers["Retry-After"] == "2"
    with database.transaction() as session:
        batches.cancel(session, batch_id, reason="no need")
    assert "Retry-After" not in client.simulate_get(f"/v1/batches/{batch_id}").headers


@pytest.mark.parametrize("seconds", ["21", "-1", "1.5", "x", "²", "1e1", "000000000020"])
def test_a_wait_that_is_no_number_of_seconds_up_to_20_is_refused(
    settings: AllSettings, database: Database, job_id: UUID, seconds: str
) -> None:
    answer = _client(settings, database, JobWaits(database, places=1)).simulate_get(
        f"/v1/jobs/{job_id}", params={"wait": seconds}
    )

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/wait")


def test_a_stranger_who_waits_gets_the_answer_when_it_is_done_for_strangers(
    settings: AllSettings, database: Database, pool: ThreadPoolExecutor
) -> None:
    with database.transaction() as session, working_for(Origin(is_anonymous=True)):
        job_id = enqueue(session, Purge())
    waits = JobWaits(database, places=1)
    client = falcon.testing.TestClient(create_app(services(settings, database, waits=waits)))
    waiting = pool.submit(client.simulate_get, f"/v1/jobs/{job_id}", params={"wait": _LONG})
    eventually(lambda: _taken(waits), what="the request waits")

    with database.transaction() as session:
        session.execute("update jobs set state = 'succeeded', finished_at = enqueued_at")
        before = client.simulate_get(f"/v1/jobs/{job_id}")
    with database.transaction() as session:
        session.execute("update jobs set enqueued_at = enqueued_at - interval '1 minute', finished_at = enqueued_at")

    assert (before.json["state"], before.headers["Retry-After"]) == ("accepted", "5")
    assert waiting.result(_LONG / 2).json == {"id": str(job_id), "state": "done"}
