"""System events: what a process reports about itself is deduplicated, and never makes worse what it is about."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from moneyflow.platform.database import Database
from moneyflow.platform.events import reports
from moneyflow.platform.events.reporter import Health, Reporter
from moneyflow.platform.events.reports import Report
from moneyflow.platform.events.system import SystemWarning
from moneyflow.platform.telemetry import origin
from moneyflow.settings import SINKS, AllSettings
from tests.support import outbox, people
from tests.support.waiting import eventually
from workers.relay.queue_depth import QueueDepths
from workers.relay.statistics import Statistics

_NAME = "Ada Lovelace"


@pytest.fixture(autouse=True)
def process() -> Iterator[None]:
    """Name this process as the worker does at its start."""
    before = origin.process()
    origin.set_process("worker")
    yield
    origin.set_process(before)


@contextmanager
def _as_role(settings: AllSettings, role: str, schema: str | None = None) -> Iterator[Database]:
    database = Database(settings.conninfo(role, application_name="test"), size=1, schema=schema)
    database.open()
    yield database
    database.close()


def _fail(number: int) -> None:
    raise ValueError(f"user {number} is called '{_NAME}'")


def _failed(number: int = 1) -> BaseException:
    with pytest.raises(ValueError, match="is called") as caught:
        _fail(number)
    return caught.value


def _sent(settings: AllSettings) -> list[dict[str, Any]]:
    return outbox.events(settings, "system.events")


def _counts(settings: AllSettings) -> list[int]:
    return [event["data"]["count"] for event in _sent(settings)]


def _end_period(settings: AllSettings) -> None:
    outbox.execute(settings, "update system_event_repeats set began_at = began_at - interval '11 minutes'")


def test_a_storm_of_1000_equal_failures_is_one_event_at_once_and_one_with_their_count(
    settings: AllSettings, database: Database
) -> None:
    reporter, other = Reporter(database), Reporter(database)
    reporter.error(_failed(0))
    reporter.write()
    at_once = _counts(settings)

    for number in range(1, 1000):
        (other if number % 2 else reporter).error(_failed(number))
        if number % 100 == 0:
            reporter.write()
    other.write()
    reporter.write()
    during = _counts(settings)
    _end_period(settings)
    other.write()

    assert (at_once, during, _counts(settings)) == ([1], [1], [1, 999])
    first, summary = _sent(settings)
    assert (first["data"]["since"], summary["data"]["since"] is None) == (None, False)
    assert first["data"]["fingerprint"] == summary["data"]["fingerprint"]
    assert [event["sequence"] for event in (first, summary)] == ["1", "2"]
    assert all(event["type"] == "system.error" and event["subject"] == "worker" for event in (first, summary))


def test_a_period_without_a_failure_ends_the_storm_and_the_next_failure_is_a_first_one(
    settings: AllSettings, database: Database
) -> None:
    reporter = Reporter(database)
    for _ in range(2):
        reporter.error(_failed())
        reporter.write()
        _end_period(settings)
        reporter.write()

    assert _counts(settings) == [1, 1]


def test_an_error_is_reported_by_its_class_place_and_fingerprint_and_without_its_text(
    settings: AllSettings, database: Database
) -> None:
    reporter = Reporter(database)
    reporter.error(_failed())
    reporter.write()

    (event,) = _sent(settings)
    assert event["data"]["error_class"] == "ValueError"
    assert event["data"]["place"].endswith("test_system_events:_fail")
    assert _NAME not in str(event)


def test_failures_that_all_differ_are_no_more_events_than_are_allowed(
    settings: AllSettings, database: Database
) -> None:
    reporter = Reporter(database, most=5)
    for name in "abcdefghij":
        reporter.error(ValueError(name * 30))
    reporter.write()
    for name in "klmnopqrst":
        reporter.error(ValueError(name * 30))
        reporter.write()

    events = [event["data"] for event in _sent(settings)]
    assert [one["fingerprint"] for one in events].count("other") == 1
    assert len(events) == 6
    _end_period(settings)
    reporter.write()
    assert sum(_counts(settings)) == 20


def test_each_role_reports_and_reaches_nothing_else_of_the_outbox(settings: AllSettings) -> None:
    roles = {"app": None, "worker": None, "relay": None, "operator": None, **{sink: sink for sink in SINKS}}
    for role, schema in roles.items():
        with _as_role(settings, role, schema) as database:
            origin.set_process(role)
            reporter = Reporter(database)
            reporter.error(_failed())
            reporter.write()

    assert [event["source"] for event in _sent(settings)] == [f"/money-flow/{role}" for role in roles]


def test_while_postgres_is_down_nothing_waits_and_the_counts_are_kept(
    settings: AllSettings, database: Database
) -> None:
    down = Database(settings.conninfo("worker", application_name="test"), size=1, timeout_seconds=0.01)
    reporter = Reporter(down)  # A pool that was never opened gives no connection.
    for _ in range(3):
        reporter.error(_failed())
    reporter.write()
    assert _sent(settings) == []

    down.open()

    def written() -> bool:
        reporter.write()
        return _counts(settings) == [3]

    eventually(written, what="the failures are reported together")
    down.close()


def test_the_error_that_ends_a_process_is_reported_before_its_end(settings: AllSettings, database: Database) -> None:
    with pytest.raises(ValueError, match="is called"), Reporter(database):
        _fail(1)

    assert _counts(settings) == [1]


def test_a_health_check_is_an_event_each_time_and_names_no_complaint(settings: AllSettings, database: Database) -> None:
    reporter = Reporter(database)
    reporter.watch(Health(alive=[lambda: None], ready=[lambda: "Kafka is down"], every_seconds=0.01, instance="i"))
    with reporter:
        (event,) = eventually(lambda: _sent(settings), what="a health check is sent")

    assert event["type"] == "system.health_check"
    assert event["data"] | {"uptime_seconds": 0} == {
        "process": "worker", "instance": "i", "alive": True, "ready": False, "uptime_seconds": 0,
    }  # fmt: skip


def test_a_condition_that_fails_ends_no_reports(settings: AllSettings, database: Database) -> None:
    asked: list[None] = []

    def condition() -> None:
        asked.append(None)
        _fail(1)

    reporter = Reporter(database, look_seconds=0)
    reporter.watch(Health(alive=[], ready=[], every_seconds=86_400, instance="i"), conditions=[condition])
    with reporter:
        eventually(lambda: asked, what="the condition was asked")
        reporter.error(_failed())

    assert _counts(settings) == [1]


def test_what_another_version_has_counted_and_this_cannot_read_holds_up_no_other_report(
    settings: AllSettings, database: Database
) -> None:
    unreadable = Report(type=SystemWarning.type, fingerprint="x", data={"colour": "red"})
    with database.transaction() as session:
        reports.write(session, [unreadable])
    reporter = Reporter(database)
    reporter.warn(code="disk_full", message="Make room.", subject="/", details={"free": 0})
    reporter.write()

    (event,) = _sent(settings)
    assert event["data"] == {
        "process": "worker", "code": "disk_full", "message": "Make room.", "details": {"free": 0}, "count": 1,
        "since": None,
    }  # fmt: skip


class _NoDepths(QueueDepths):
    """RabbitMQ is down."""

    def __init__(self) -> None:
        pass

    async def ready(self, queue: str) -> int | None:  # noqa: ARG002 - as the real one
        return None


def test_the_leader_warns_of_an_outbox_that_is_not_published(settings: AllSettings, database: Database) -> None:
    people.sign_up(database, name="Ada")
    warned: list[tuple[str, str]] = []

    def warn(*, code: str, subject: str, **_: Any) -> None:
        warned.append((code, subject))

    async def count() -> None:
        conninfo = settings.conninfo("relay", application_name="test")
        async with await AsyncConnection.connect(conninfo, autocommit=True, row_factory=dict_row) as connection:
            await Statistics(connection, _NoDepths(), warn).run_once()
            await Statistics(connection, _NoDepths(), warn, starved_seconds=0).run_once()

    asyncio.run(count())

    assert ("outbox_lagging", "event") in warned
    assert len(warned) == len(set(warned)), "a short wait is no warning"
