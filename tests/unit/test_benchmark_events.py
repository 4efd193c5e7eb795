"""The benchmark of events: its history, the clock of its peers, and what it says of the promises."""

from itertools import pairwise

import pytest

from moneyflow.events.topics import TRANSACTION_EVENTS, USER_EVENTS
from moneyflow.platform.events import envelope
from ops.dev.bench.events.history import history
from ops.dev.bench.events.measure import row_of, targets_of
from ops.dev.bench.peers.backlog import Meter, Rate


def test_the_history_has_events_of_the_topics_alone_each_with_an_id_of_its_own() -> None:
    rows = list(history([USER_EVENTS, TRANSACTION_EVENTS], 3000))

    assert {row.topic for row in rows} == {USER_EVENTS, TRANSACTION_EVENTS}
    assert len({row.id for row in rows}) == len(rows) == 3000
    assert {"user.created", "transaction.created", "transaction.updated", "transaction.deleted"} <= {
        row.type for row in rows
    }


def test_the_sequences_of_each_aggregate_grow_by_one_in_the_history() -> None:
    read = [envelope.read(row.value) for row in history([TRANSACTION_EVENTS], 3000)]
    sequences: dict[str, list[int | None]] = {}
    for event in read:
        sequences.setdefault(event.subject, []).append(event.sequence)

    assert all(numbers in ([1], [1, 2]) for numbers in sequences.values())
    assert all(earlier.time <= later.time for earlier, later in pairwise(read))


def test_a_history_without_events_of_the_topics_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the history has events of .*, and none of other\.events"):
        history(["other.events"], 1)


def test_the_clock_of_a_peer_starts_with_its_first_records_which_are_not_in_its_rate() -> None:
    now = [10.0]
    meter = Meter(300, clock=lambda: now[0])

    meter.add(100)
    now[0] = 12.0
    meter.add(100)
    assert not meter.is_full
    now[0] = 14.0
    meter.add(100)

    assert meter.is_full
    assert Rate.of_line(meter.line()).per_second == 200 / 4.0


def test_a_sink_is_compared_with_its_floor_and_with_its_peers() -> None:
    found = {"money_flow": [50.0, 60.0, 40.0], "bare_copy": [100.0] * 3, "record_by_record": [2.0] * 3}

    row = row_of("audit", found | {"faststream": [1.0] * 3, "peak_mib": [90.0] * 3}, floor="bare_copy")

    assert (row["of_the_floor"], row["times_record_by_record"], row["times_faststream"]) == (0.5, 25.0, 50.0)
    held = {target.what: target.holds for target in targets_of([row])}
    assert held == {"audit, of bare copy": True, "audit, of bare copy, moonshot": False, "audit, MiB": True}


def test_the_memory_with_the_backlog_counts_where_it_was_measured() -> None:
    found = {"money_flow": [50.0], "bare_copy": [100.0], "peak_mib": [90.0]}
    row = row_of("audit", found, floor="bare_copy") | {"mib_with_backlog": 201.0}

    assert [target.holds for target in targets_of([row]) if target.what == "audit, MiB"] == [False]
