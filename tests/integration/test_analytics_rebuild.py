"""Rebuilds of analytics: continued, shared, cancelled, and waiting for the log; and the erasure of a person."""

import datetime as dt
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from consumers.sinks.analytics import AnalyticsSink
from moneyflow.analytics.rebuild import Rebuilds
from moneyflow.events.topics import TRANSACTION_EVENTS
from moneyflow.platform.errors import ConflictError, InvalidInputError, NotFoundError
from moneyflow.settings import AllSettings
from tests.support.analytics_world import World, world_of
from tests.support.command_line import moneyflow
from tests.support.waiting import eventually

_BREAD: dict[str, Any] = {"kind": "expense", "amount": "1.00", "currency": "EUR", "date": dt.date(2026, 1, 1)}


@pytest.fixture
def world(settings: AllSettings) -> Iterator[World]:
    """Return a world of a person with ten transactions, which are counted."""
    with world_of(settings) as world:
        user = world.add_person()
        for _ in range(10):
            world.add(user, **_BREAD)
        for record in world.publish():
            world.deliver([record])
        yield world


@pytest.fixture
def rebuilds(world: World) -> Rebuilds:
    return Rebuilds(world.rebuilding, page_rows=3)


def _break(world: World) -> None:
    with world.own.transaction() as session:
        session.execute("update daily_sums set expense = 77")
        session.execute("update monthly_sums set expense = 77")


@pytest.mark.parametrize("source", ["log", "tables"])
def test_a_rebuild_that_was_killed_is_continued_and_reads_no_page_again(
    world: World, rebuilds: Rebuilds, source: Any
) -> None:
    _break(world)
    killed = rebuilds.run(rebuilds.begin(source=source, asked_by="ada", reason="a test"))
    first = next(killed)
    killed.close()

    again = rebuilds.begin(source=None, asked_by="eve", reason=None)
    (*_, done) = rebuilds.run(again)

    assert (again.id, again.asked_by, again.rows_read) == (first.id, "ada", first.rows_read)
    assert done.rows_read == (10 if source == "tables" else len(world.published))
    assert world.sums() == world.source_sums()


def test_two_who_run_a_rebuild_at_the_same_time_share_its_pages(world: World, rebuilds: Rebuilds) -> None:
    _break(world)
    begun = rebuilds.begin(source="tables", asked_by="ada", reason="a test")
    one, other = rebuilds.run(begun), rebuilds.run(rebuilds.begin(source="tables", asked_by="eve", reason="too"))

    steps = [next(pages, None) for _ in range(10) for pages in (one, other)]

    assert max(step.rows_read for step in steps if step) == 10
    assert rebuilds.found(begun.id).state == "ended"
    assert world.sums() == world.source_sums()


def test_a_cancelled_rebuild_changes_nothing_and_leaves_no_rows(world: World, rebuilds: Rebuilds) -> None:
    before = world.sums()
    pages = rebuilds.run(rebuilds.begin(source="tables", asked_by="ada", reason="a test"))
    next(pages)

    cancelled = rebuilds.cancel()

    assert [one.state for one in pages] == ["cancelled"]
    assert (cancelled.state, world.sums()) == ("cancelled", before)
    with world.own.transaction() as session:
        left = session.fetch_all("select distinct generation from transactions")
    assert left == [{"generation": 1}]


def test_a_rebuild_from_the_log_waits_until_the_log_has_what_the_sink_had_read(world: World) -> None:
    with world.own.transaction() as session:
        session.execute("insert into positions values (%(topic)s, 0, 11, 1)", {"topic": TRANSACTION_EVENTS})
    pauses = 0

    def pause(_: float) -> None:
        nonlocal pauses
        pauses += 1
        with world.audit.transaction() as session:
            offset = 9 + pauses
            session.execute(
                "insert into positions values (%(topic)s, 0, %(offset)s, 1) "
                "on conflict (topic, partition) do update set next_offset = %(offset)s",
                {"topic": TRANSACTION_EVENTS, "offset": offset},
            )

    rebuilds = Rebuilds(world.rebuilding, pause=pause)
    (*_, done) = rebuilds.run(rebuilds.begin(source="log", asked_by="ada", reason="a test"))

    assert (pauses, done.state) == (2, "ended")


def test_a_log_whose_beginning_is_missing_is_refused(world: World, rebuilds: Rebuilds) -> None:
    with world.audit.transaction() as session:
        session.execute("insert into chains values ('user.events', 7, 5, '')")

    with pytest.raises(ConflictError, match=r"user\.events 7; rebuild from the tables"):
        rebuilds.begin(source="log", asked_by="ada", reason="a test")


def test_a_rebuild_has_a_source_and_a_reason_and_one_at_a_time_runs(world: World, rebuilds: Rebuilds) -> None:
    with pytest.raises(InvalidInputError):
        rebuilds.begin(source=None, asked_by="ada", reason="a test")
    with pytest.raises(InvalidInputError):
        rebuilds.begin(source="log", asked_by="ada", reason=None)
    with pytest.raises(NotFoundError):
        rebuilds.cancel()

    rebuilds.begin(source="tables", asked_by="ada", reason="a test")

    with pytest.raises(ConflictError, match="from the tables is not finished"):
        rebuilds.begin(source="log", asked_by="ada", reason="a test")


def test_the_command_rebuilds_and_says_what_it_corrected(environment: dict[str, str], world: World) -> None:
    _break(world)

    refused = moneyflow(environment, "analytics", "rebuild")
    done = moneyflow(environment, "analytics", "rebuild", "--from", "log", "--reason", "a test", "--json")
    funnel = moneyflow(environment, "analytics", "funnel", "--json")
    days = moneyflow(environment, "analytics", "days")

    assert refused.returncode == 2
    assert (done.returncode, json.loads(done.stdout)["sums_corrected"]) == (0, 1), done.stderr
    assert [(day["signed_up"], day["with_transaction"]) for day in json.loads(funnel.stdout)["days"]] == [(1, 1)]
    assert "active_people" in days.stdout
    assert world.sums() == world.source_sums()


def test_a_batch_that_began_before_an_erasure_leaves_nothing_of_the_person_after_it(world: World) -> None:
    (user,) = world.people
    world.add(user, **_BREAD)
    world.delete_person(user)
    *_, added, deleted = world.publish()
    erased = threading.Thread(target=lambda: world.deliver([deleted]))

    with world.rebuilding.transaction() as session:
        session.execute("set local search_path = analytics")
        AnalyticsSink().write(session, [added])
        erased.start()
        eventually(lambda: _is_waiting(world), what="the erasure waits")
    erased.join()

    assert world.rows_of_deleted_people() == 0
    world.deliver([added])
    assert world.rows_of_deleted_people() == 0


def _is_waiting(world: World) -> bool:
    with world.owner.transaction() as session:
        return bool(session.fetch_all("select from pg_locks where locktype = 'advisory' and not granted"))
