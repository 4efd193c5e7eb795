"""The consumer of analytics: sums follow the books through Kafka, and say when it is down."""

import datetime as dt
from collections.abc import Iterator

import pytest

from moneyflow.analytics import freshness
from moneyflow.analytics.freshness import Freshness
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.analytics_world import World, world_of
from tests.support.processes import Processes
from tests.support.waiting import eventually

#: The API's, which asks how fresh the sums are.
ROLE = "app"


@pytest.fixture
def world(platform: AllSettings) -> Iterator[World]:
    with world_of(platform) as world:
        yield world


def _freshness(database: Database) -> Freshness:
    with database.autocommit() as session:
        return freshness.of_transactions(session)


def _waiting_events(world: World) -> int:
    with world.owner.transaction() as session:
        return len(session.fetch_all("select from outbox_events"))


def test_sums_follow_the_books_and_stay_as_fresh_as_they_are_while_the_consumer_is_down(
    world: World, database: Database, processes: Processes
) -> None:
    user = world.add_person()
    for day in (1, 2, 3):
        world.add(user, kind="expense", amount="1.00", currency="EUR", date=dt.date(2026, 3, day))
    processes.relay()
    consumer = processes.consumer("analytics")

    eventually(lambda: world.sums() and world.sums() == world.source_sums(), what="all is counted")
    in_time = eventually(
        lambda: (fresh := _freshness(database)).lag_seconds is not None and fresh.lag_seconds < 5 and fresh,
        what="the consumer has seen that there is no more",
    )
    consumer.stop()
    world.add(user, kind="expense", amount="1.00", currency="EUR", date=dt.date(2026, 3, 4))
    eventually(lambda: not _waiting_events(world), what="the event is published")

    stale = _freshness(database)
    assert world.sums() != world.source_sums()
    assert stale.as_of is not None
    assert in_time
    with world.owner.transaction() as session:
        row = session.fetch_one("select max(created_at) as at from transactions")
    assert row is not None
    assert stale.as_of < row["at"], "it does not say that the newest transaction is counted"

    processes.consumer("analytics")
    eventually(lambda: world.sums() == world.source_sums(), what="the rest is counted")
