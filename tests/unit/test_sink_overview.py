"""The overview of sinks: the state of a partition is what an operator has to act on first."""

from uuid import uuid4

import pytest

from moneyflow.events.user import UserActivated
from moneyflow.platform import clock
from moneyflow.platform.sinks.positions import overview
from moneyflow.platform.sinks.positions.kafka import Member, NextRecord, Range
from moneyflow.platform.sinks.positions.overview import Partition
from moneyflow.platform.sinks.positions.rows import Place, Row
from moneyflow.platform.telemetry.origin import Origin

_PLACE = Place(sink="crm", topic="user.events", partition=2)
_MEMBER = Member(id="money-flow-crm-1", host="10.0.0.7")
_EVENT = UserActivated(sequence=1, user_id=uuid4(), activated_at=clock.now()).envelope(
    event_id=uuid4(), source="/x", origin=Origin(correlation_id=None, actor_id=None, traceparent=None), time=clock.now()
)
_NEWER = _EVENT.replace(f"/{UserActivated.version}".encode() + b'"', b'/999"')


def _partition(
    *, next_offset: int | None, newest: int = 9, gap: str | None = None, member: Member | None = _MEMBER,
    value: bytes | None = None,
) -> Partition:  # fmt: skip
    facts = overview._Facts(
        place=_PLACE,
        row=Row(place=_PLACE, next_offset=next_offset, epoch=1, gap=gap),
        consumer=member,
        range=Range(oldest=3, newest=newest),
    )
    records = {} if value is None else {_PLACE.key: NextRecord(written_at=0.0, value=value)}
    return overview._partition(facts, records)


@pytest.mark.parametrize(
    ("partition", "state", "lag"),
    [
        (_partition(next_offset=9), "up to date", 0),
        (_partition(next_offset=5, value=_EVENT), "behind", 4),
        (_partition(next_offset=5, value=b"no event"), "behind", 4),
        (_partition(next_offset=None, value=_EVENT), "behind", 6),
        (_partition(next_offset=5, value=_NEWER), "parked", 4),
        (_partition(next_offset=5, member=None, value=_NEWER), "no consumer", 4),
        (_partition(next_offset=5, gap="it is stopped", member=None), "stopped", 4),
        (_partition(next_offset=2), "stopped", 7),
        (_partition(next_offset=12), "stopped", 0),
    ],
)
def test_a_state_is_that_which_needs_an_operator_most(partition: Partition, state: str, lag: int) -> None:
    assert (partition.state, partition.lag) == (state, lag)


def test_why_a_partition_waits_is_named() -> None:
    assert "2 is not in 3..9" in str(_partition(next_offset=2).why)
    assert "999" in str(_partition(next_offset=5, value=_NEWER).why)
    assert _partition(next_offset=5, value=_EVENT).why is None


def test_the_lag_in_seconds_is_the_age_of_the_next_record_and_unknown_without_it() -> None:
    assert _partition(next_offset=9).lag_seconds == 0
    assert _partition(next_offset=5).lag_seconds is None
    assert (_partition(next_offset=5, value=_EVENT).lag_seconds or 0) > 1_000_000_000
