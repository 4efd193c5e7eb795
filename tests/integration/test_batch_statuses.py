"""Statuses of batches for clients that poll: the count of a large one serves for a while, and serves no stranger."""

import pytest

from moneyflow.jobs.purge import Purge
from moneyflow.platform.database import Database
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.batch_statuses import BatchStatuses
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.telemetry.origin import Origin, working_for

_USER = new_id()


class _Clock:
    """A clock that advances by a tenth of a second each time that it is read: so long takes a count."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


def test_a_count_is_reused_for_twenty_times_as_long_as_it_took(database: Database) -> None:
    clock = _Clock()
    statuses = BatchStatuses(clock=clock, large=1)
    with database.transaction() as session:
        batch_id = batches.open(session, name="x")
        batches.add(session, batch_id, [Purge()])
        first = statuses.of(session, batch_id)
        batches.add(session, batch_id, [Purge()])

        clock.now += 1.8
        reused = statuses.of(session, batch_id)
        counted = statuses.of(session, batch_id)

    assert (first.total, reused.total, counted.total) == (1, 1, 2)


def test_a_small_batch_is_counted_each_time(database: Database) -> None:
    statuses = BatchStatuses(clock=lambda: 0.0)
    with database.transaction() as session:
        batch_id = batches.open(session, name="x")
        counts = []
        for _ in range(3):
            batches.add(session, batch_id, [Purge()])
            counts.append(statuses.of(session, batch_id).total)

    assert counts == [1, 2, 3]


def test_a_count_that_was_made_for_the_owner_serves_no_other_user(database: Database) -> None:
    statuses = BatchStatuses(clock=lambda: 0.0, large=1)
    with database.transaction() as session, working_for(Origin(actor_id=str(_USER))):
        batch_id = batches.submit(session, [Purge()], name="x")
        assert statuses.owned(OwnerScope(session, _USER), batch_id).total == 1

        for scope in (OwnerScope(session, new_id()), OwnerScope(session, None)):
            with pytest.raises(NotFoundError, match=f"there is no batch {batch_id}"):
                statuses.owned(scope, batch_id)
        assert statuses.owned(OwnerScope(session, new_id(), sees_all=True), batch_id).total == 1
