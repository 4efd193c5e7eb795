"""`make bench ARGS=growth`: what is filled, and how the filled table is compared with the empty one."""

import pytest

from ops.dev.bench.jobs.filling import chunks, is_milestone
from ops.dev.bench.jobs.growth import EMPTY, FILLED, FILLED_DATABASE, ratios, targets

_FIGURES = {
    "noop_drain": [1000.0],
    "insert_drain": [500.0],
    "pickup_p50_ms": [2.0],
    "urgent_single_p50_ms": [4.0],
    "urgent_burst_p99_ms": [80.0],
}
_ROW = {f"{name}_ratio": 0.95 for name in _FIGURES} | {
    "groups_seconds": 0.4,
    "status_seconds": 0.2,
    "purged_per_second": 2000,
}


def test_the_chunks_of_a_fill_have_every_row_once() -> None:
    parts = list(chunks(25, 10))

    assert parts == [(1, 10), (11, 20), (21, 25)]
    assert list(chunks(0, 10)) == []


@pytest.mark.parametrize(("rows", "size"), [(1000, 10), (995, 10), (7, 10), (200_000, 50_000)])
def test_a_fill_logs_at_most_ten_times_and_at_its_end(rows: int, size: int) -> None:
    logged = [last for _, last in chunks(rows, size) if is_milestone(last, rows=rows, size=size)]

    assert 1 <= len(logged) <= 10
    assert logged[-1] == rows


def test_a_ratio_is_speed_for_rates_and_for_latencies_alike() -> None:
    halved = _FIGURES | {"noop_drain": [500.0], "pickup_p50_ms": [4.0]}

    found = ratios(halved, _FIGURES)

    assert found["noop_drain_ratio"] == 0.5
    assert found["pickup_p50_ms_ratio"] == 0.5
    assert found["insert_drain_ratio"] == 1.0


def test_a_ratio_compares_the_medians_of_the_rounds() -> None:
    filled = _FIGURES | {"noop_drain": [900.0, 100.0, 950.0]}

    assert ratios(filled, _FIGURES)["noop_drain_ratio"] == 0.9


@pytest.mark.parametrize(
    ("figure", "missed"),
    [
        ("noop_drain_ratio", 0.89),
        ("urgent_burst_p99_ms_ratio", 0.89),
        ("groups_seconds", 1.1),
        ("status_seconds", 0.6),
        ("purged_per_second", 499),
    ],
)
def test_every_promise_about_the_filled_table_can_be_missed(figure: str, missed: float) -> None:
    assert all(target.holds for target in targets(_ROW))
    assert [target.value for target in targets(_ROW | {figure: missed}) if not target.holds] == [missed]


def test_only_the_filled_table_is_in_the_copied_database() -> None:
    assert FILLED.table is not None
    assert EMPTY.table is not None
    assert (FILLED.table.database, FILLED.environment["POSTGRES_DB"]) == (FILLED_DATABASE, FILLED_DATABASE)
    assert (EMPTY.table.database, EMPTY.environment.get("POSTGRES_DB")) == (None, None)
