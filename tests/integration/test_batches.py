"""Batches: what belongs to one, when it ends, and what a failed or a cancelled member means for the others."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import DictRow, dict_row

from moneyflow.platform.database import Database
from moneyflow.platform.errors import ConflictError, NotFoundError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.batches import OnFailure, Status
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.limits import Limit
from moneyflow.platform.jobs.policy import Unique
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.effects import LeaveEffect
from tests.support.members import Gather
from tests.support.relay_queries import QUERIES
from tests.support.waiting import eventually
from workers.relay.batches import BatchRelay

RunOnce = Callable[[], float]


class Named(Job, kind="named", unique=Unique(while_unfinished=True)):
    """A job of which one at a time may be unfinished under each name."""

    name: str

    def unique_key(self) -> str:
        return f"named:{self.name}"


@pytest.fixture
def run_once(settings: AllSettings) -> Iterator[RunOnce]:
    """Return what lets the relay look at the batches once; it returns when the relay would look again."""
    sessions = Database(settings.conninfo("relay", application_name="test"), size=1)
    sessions.open()
    relay = BatchRelay(sessions, freed=lambda: None)
    yield lambda: asyncio.run(relay.run_once())
    sessions.close()


@pytest.fixture
def relay(settings: AllSettings) -> Iterator[Connection[DictRow]]:
    """Return a connection of the relay's role, in a transaction."""
    with psycopg.connect(settings.conninfo("relay", application_name="test"), row_factory=dict_row) as connection:
        yield connection


def _submit(database: Database, *members: Job, on_end: Job | None = None, on_failure: OnFailure = "continue") -> UUID:
    with database.transaction() as session:
        return batches.submit(session, members, name="mails", on_end=on_end, on_failure=on_failure)


def _status(database: Database, batch_id: UUID) -> Status:
    with database.transaction() as session:
        return batches.status(session, batch_id)


def _members(database: Database, batch_id: UUID) -> list[UUID]:
    with database.transaction() as session:
        rows = session.fetch_all("select id from jobs where batch_id = %(id)s order by id", {"id": batch_id})
    return [row["id"] for row in rows]


def _become(database: Database, state: str, *ids: UUID) -> None:
    for job_id in ids:
        jobs.change(database, job_id, state=state)


def _end_job(database: Database, batch_id: UUID) -> dict[str, Any]:
    end_job_id = _status(database, batch_id).end_job_id
    assert end_job_id is not None
    return jobs.job(database, end_job_id)


def test_a_batch_ends_when_all_its_members_have_and_releases_its_end_job(database: Database, run_once: RunOnce) -> None:
    batch_id = _submit(database, *[LeaveEffect() for _ in range(4)], on_end=Gather())
    first, second, third, fourth = _members(database, batch_id)
    _become(database, "succeeded", first)
    _become(database, "failed", second)
    _become(database, "discarded", third)
    _become(database, "retrying", fourth)

    run_once()
    before = (_status(database, batch_id), _end_job(database, batch_id)["waits_for"])
    _become(database, "cancelled", fourth)
    run_once()

    after = _status(database, batch_id)
    assert (before[0].state, before[0].done, before[0].total, before[1]) == ("open", 3, 4, "batch")
    assert (after.state, after.done_fraction, after.ended_at is not None) == ("ended", 1.0, True)
    assert after.counts == {"succeeded": 1, "failed": 1, "discarded": 1, "cancelled": 1}
    end = _end_job(database, batch_id)
    assert (end["state"], end["waits_for"]) == ("scheduled", None)
    assert end["due_at"] >= after.ended_at


@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "retrying"])
def test_a_member_in_any_unfinished_state_keeps_the_batch_open(
    state: str, database: Database, run_once: RunOnce
) -> None:
    batch_id = _submit(database, LeaveEffect(), LeaveEffect())
    first, second = _members(database, batch_id)
    _become(database, "succeeded", first)
    _become(database, state, second)

    run_once()

    assert _status(database, batch_id).state == "open"
    assert _status(database, batch_id).counts == {"succeeded": 1, state: 1}


def test_a_batch_without_a_member_ends_once_it_is_sealed(database: Database, run_once: RunOnce) -> None:
    with database.transaction() as session:
        batch_id = batches.open(session, name="empty", on_end=Gather())
    run_once()
    unsealed = _status(database, batch_id)
    for _ in range(2):
        with database.transaction() as session:
            batches.seal(session, batch_id)
    run_once()

    assert (unsealed.state, unsealed.done_fraction) == ("open", 0.0)
    assert (_status(database, batch_id).state, _status(database, batch_id).counts) == ("ended", {})
    assert _end_job(database, batch_id)["waits_for"] is None


def test_what_is_added_before_and_after_the_seal_belongs_to_the_batch(database: Database, run_once: RunOnce) -> None:
    with database.transaction() as session:
        batch_id = batches.open(session, name="grows")
        early = batches.add(session, batch_id, [LeaveEffect()])
    with database.transaction() as session:
        batches.seal(session, batch_id)
        late = batches.add(session, batch_id, [LeaveEffect(), LeaveEffect()])

    assert _members(database, batch_id) == sorted([*early, *late])
    assert all(jobs.job(database, job_id)["batch_id"] == batch_id for job_id in late)


def test_a_batch_that_has_ended_takes_no_more_jobs_and_an_unknown_one_is_named(
    database: Database, run_once: RunOnce
) -> None:
    ended, unknown = _submit(database), new_id()
    run_once()

    with database.transaction() as session:
        with pytest.raises(ConflictError, match=f"batch {ended} takes no more jobs: it is ended; open another one"):
            batches.add(session, ended, [LeaveEffect()])
        with pytest.raises(NotFoundError, match=str(unknown)):
            batches.add(session, unknown, [LeaveEffect()])
        with pytest.raises(NotFoundError, match=str(unknown)):
            batches.seal(session, unknown)
        batches.seal(session, ended)
    assert _members(database, ended) == []


def test_while_a_transaction_adds_members_the_batch_stays_open_and_they_count(
    database: Database, run_once: RunOnce
) -> None:
    batch_id = _submit(database)

    with database.transaction() as session:
        batches.add(session, batch_id, [LeaveEffect()])
        run_once()
        meanwhile = _status(database, batch_id).state
    run_once()

    assert meanwhile == "open"
    assert _status(database, batch_id).state == "open"
    assert _status(database, batch_id).counts == {"scheduled": 1}


def test_what_was_added_before_the_lock_was_had_is_seen_before_the_batch_ends(
    database: Database, relay: Connection[DictRow]
) -> None:
    batch_id = _submit(database)
    (locked,) = relay.execute(QUERIES["lock_finished"], {"limit": 10}).fetchall()
    relay.commit()
    with database.transaction() as session:
        batches.add(session, batch_id, [LeaveEffect()])

    ended = relay.execute(QUERIES["end"], {"ids": [locked["id"]]}).fetchall()

    assert locked["id"] == batch_id
    assert ended == []


def test_adding_members_while_the_batch_ends_waits_and_is_refused(
    database: Database, relay: Connection[DictRow]
) -> None:
    batch_id = _submit(database)
    refusals: list[str] = []

    def add() -> None:
        with database.transaction() as session, pytest.raises(ConflictError) as refused:
            batches.add(session, batch_id, [LeaveEffect()])
        refusals.append(refused.value.detail)

    thread = threading.Thread(target=add)
    relay.execute(QUERIES["lock_finished"], {"limit": 10})
    relay.execute(QUERIES["end"], {"ids": [batch_id]})
    thread.start()
    eventually(lambda: _a_session_waits(database), what="the one who adds waits")
    relay.commit()
    thread.join(10)

    assert len(refusals) == 1
    assert "it is ended" in refusals[0]
    assert _members(database, batch_id) == []


def _a_session_waits(database: Database) -> bool:
    with database.transaction() as session:
        return bool(session.fetch_all("select 1 from pg_stat_activity where wait_event_type = 'Lock'"))


def test_two_relays_at_once_end_a_batch_once(database: Database, run_once: RunOnce, relay: Connection[DictRow]) -> None:
    batch_id = _submit(database, on_end=Gather())
    relay.execute(QUERIES["lock_finished"], {"limit": 10})
    first = relay.execute(QUERIES["end"], {"ids": [batch_id]}).fetchall()

    run_once()
    seen_by_others = _status(database, batch_id).state
    relay.commit()
    ended_at = _status(database, batch_id).ended_at
    run_once()

    assert [row["id"] for row in first] == [batch_id]
    assert seen_by_others == "open"
    assert _status(database, batch_id).ended_at == ended_at


def test_under_the_policy_wait_a_failed_member_keeps_the_batch_open_until_it_is_dealt_with(
    database: Database, run_once: RunOnce
) -> None:
    batch_id = _submit(database, LeaveEffect(), LeaveEffect(), on_end=Gather(), on_failure="wait")
    first, second = _members(database, batch_id)
    _become(database, "succeeded", first)
    _become(database, "failed", second)

    run_once()
    waiting = _status(database, batch_id)
    _become(database, "discarded", second)
    run_once()

    assert (waiting.state, waiting.done, waiting.total) == ("open", 1, 2)
    assert (_status(database, batch_id).state, _status(database, batch_id).done) == ("ended", 2)


def test_under_the_policy_cancel_a_failed_member_cancels_the_rest_and_the_batch_ends_when_they_have(
    database: Database, run_once: RunOnce
) -> None:
    batch_id = _submit(database, *[LeaveEffect() for _ in range(5)], on_end=Gather(), on_failure="cancel")
    failed, running, queued, retrying, scheduled = _members(database, batch_id)
    for state, job_id in (("running", running), ("queued", queued), ("retrying", retrying)):
        _become(database, state, job_id)
    run_once()
    untouched = _status(database, batch_id).counts
    _become(database, "failed", failed)

    run_once()
    run_once()
    broken = _status(database, batch_id)
    asked = jobs.job(database, running)["cancel_requested_at"]
    _become(database, "cancelled", running)
    run_once()

    assert untouched == {"scheduled": 2, "queued": 1, "running": 1, "retrying": 1}
    assert (broken.state, broken.counts) == ("open", {"failed": 1, "running": 1, "cancelled": 3})
    assert asked is not None
    assert all(jobs.job(database, job_id)["finished_at"] for job_id in (queued, retrying, scheduled))
    assert _status(database, batch_id).state == "ended"
    assert _end_job(database, batch_id)["waits_for"] is None


def test_a_broken_batch_cancels_what_is_added_to_it_later_too(database: Database, run_once: RunOnce) -> None:
    with database.transaction() as session:
        batch_id = batches.open(session, name="broken", on_failure="cancel")
        (failed,) = batches.add(session, batch_id, [LeaveEffect()])
    _become(database, "failed", failed)
    run_once()
    with database.transaction() as session:
        batches.add(session, batch_id, [LeaveEffect()])
        batches.seal(session, batch_id)

    run_once()
    run_once()

    assert _status(database, batch_id).counts == {"failed": 1, "cancelled": 1}
    assert _status(database, batch_id).state == "ended"


def test_cancelling_a_batch_ends_what_waits_asks_what_runs_to_stop_and_lets_its_end_never_run(
    database: Database, run_once: RunOnce
) -> None:
    batch_id = _submit(database, Named(name="first"), Named(name="second"), LeaveEffect(), on_end=Gather())
    first, second, third = _members(database, batch_id)
    _become(database, "running", second)
    _become(database, "succeeded", third)

    with database.transaction() as session:
        cancelled = batches.cancel(session, batch_id, reason="sent to the wrong people")
    run_once()

    status = _status(database, batch_id)
    assert cancelled == 2
    assert (status.state, status.cancel_reason) == ("cancelled", "sent to the wrong people")
    assert status.counts == {"cancelled": 1, "running": 1, "succeeded": 1}
    assert _end_job(database, batch_id)["state"] == "cancelled"
    waiting, running, done = (jobs.job(database, job_id) for job_id in (first, second, third))
    assert (waiting["unique_key"], waiting["finished_at"] is not None) == (None, True)
    assert (running["unique_key"], running["cancel_requested_at"] is not None) == ("named:second", True)
    assert (done["state"], done["cancel_requested_at"]) == ("succeeded", None)


def test_a_batch_is_cancelled_once_and_not_when_it_has_ended(database: Database, run_once: RunOnce) -> None:
    cancelled, ended = _submit(database, LeaveEffect()), _submit(database)
    run_once()
    with database.transaction() as session:
        batches.cancel(session, cancelled, reason="once")

    with database.transaction() as session:
        for batch_id, state in ((cancelled, "cancelled"), (ended, "ended")):
            with pytest.raises(ConflictError, match=f"{batch_id} cannot be cancelled: it is {state} already"):
                batches.cancel(session, batch_id, reason="again")
        with pytest.raises(ConflictError, match="it is cancelled"):
            batches.add(session, cancelled, [LeaveEffect()])
    assert _status(database, cancelled).cancel_reason == "once"


def test_a_unique_job_belongs_to_the_batch_that_it_was_first_enqueued_for(
    database: Database, run_once: RunOnce
) -> None:
    first = _submit(database, Named(name="shared"))
    second = _submit(database, Named(name="shared"), LeaveEffect())
    (shared,) = _members(database, first)
    (own,) = _members(database, second)
    _become(database, "succeeded", own)

    run_once()

    assert jobs.job(database, shared)["batch_id"] == first
    assert (_status(database, first).state, _status(database, second).state) == ("open", "ended")


def test_an_end_job_whose_unique_key_is_taken_is_refused(database: Database) -> None:
    (taken,) = jobs.enqueue(database, Named(name="report"))
    _submit(database, LeaveEffect(), on_end=Named(name="totals"))

    for name in ("report", "totals"):
        with pytest.raises(ConflictError, match=f"the unique key of on_end, 'named:{name}', is taken"):
            _submit(database, LeaveEffect(), on_end=Named(name=name))
    with database.transaction() as session:
        assert len(batches.recent(session)) == 1
    assert jobs.job(database, taken)["waits_for"] is None


def test_a_member_and_an_end_job_find_their_batch_and_another_job_finds_none(database: Database) -> None:
    batch_id = _submit(database, LeaveEffect(), on_end=Gather())
    (member,) = _members(database, batch_id)
    (alone,) = jobs.enqueue(database, LeaveEffect())

    with database.transaction() as session:
        found = [batches.of(session, job_id) for job_id in (member, _end_job(database, batch_id)["id"], alone)]

    assert found == [batch_id, batch_id, None]


class Placed(Job, kind="placed_end", limit=Limit(name="places_for_ends", concurrency=1)):
    """A job under a limit."""


def test_an_end_job_under_a_limit_waits_for_its_batch_first_and_for_its_place_then(
    database: Database, run_once: RunOnce
) -> None:
    batch_id = _submit(database, LeaveEffect(), on_end=Placed())
    before = _end_job(database, batch_id)
    _become(database, "succeeded", *_members(database, batch_id))
    run_once()
    after = _end_job(database, batch_id)

    assert before["waits_for"] == "batch"
    assert (after["waits_for"], after["due_at"] >= _status(database, batch_id).ended_at) == ("limit", True)


def test_the_newest_batches_are_listed_by_state(database: Database, run_once: RunOnce) -> None:
    ended = _submit(database)
    run_once()
    older, newer = _submit(database, LeaveEffect()), _submit(database, LeaveEffect())

    with database.transaction() as session:
        everything = [status.id for status in batches.recent(session)]
        open_ones = [status.id for status in batches.recent(session, states=["open"], limit=1)]

    assert everything == [newer, older, ended]
    assert open_ones == [newer]


@pytest.mark.timeout(300)
def test_thousands_of_members_update_no_common_row_and_the_end_is_found_in_a_tenth_of_the_time_they_took(
    database: Database,
    settings: AllSettings,
    run_once: RunOnce,
    capsys: pytest.CaptureFixture[str],
    pytestconfig: pytest.Config,
) -> None:
    count = 10_000 * pytestconfig.getoption("--thousands")
    started = time.monotonic()
    batch_id = _submit(database, *[LeaveEffect() for _ in range(count)], on_end=Gather())
    inserted_after = time.monotonic() - started
    with database.transaction() as session:
        session.execute("update jobs set state = 'succeeded' where batch_id is not null")
        session.execute(
            "update jobs set state = 'running' where id = (select max(id::text)::uuid from jobs "
            "where batch_id = %(id)s)", {"id": batch_id},
        )  # fmt: skip

    looked = [_seconds(run_once) for _ in range(3)]
    left = _status(database, batch_id)
    _become(database, "succeeded", _members(database, batch_id)[-1])
    found_after = _seconds(run_once)

    with capsys.disabled():
        print(
            f"\n{count} members inserted in {inserted_after:.1f} s, looked at in {looked}, ended in {found_after:.3f} s"
        )
    assert (left.state, left.done) == ("open", count - 1)
    assert _status(database, batch_id).counts == {"succeeded": count}
    assert _status(database, batch_id).state == "ended"
    assert max(looked) < inserted_after / 10
    assert found_after < inserted_after / 10
    assert _updates_of_batches(settings) == 1


def _seconds(run_once: RunOnce) -> float:
    started = time.monotonic()
    run_once()
    return round(time.monotonic() - started, 3)


def _updates_of_batches(settings: AllSettings) -> int:
    """Return how many rows of `batches` were ever updated, once Postgres has reported its statistics."""
    with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as connection:
        query = "select n_tup_upd from pg_stat_user_tables where relname = 'batches'"

        def counted() -> int:
            row = connection.execute(query).fetchone()
            return int(row[0]) if row else 0

        eventually(counted, what="Postgres has reported its statistics")
        return counted()
