"""Figures of the benchmark of the API: refusals are no answers, and the promises compare with the peer in one run."""

from collections.abc import Mapping
from typing import Any

from ops.dev.bench.api.load import Figures
from ops.dev.bench.api.measure import CONNECTIONS, SCENARIOS, add_ratios, targets_of


def _row(name: str, per_second: float, p99_ms: float) -> dict[str, Any]:
    row: dict[str, Any] = {"system": name}
    for scenario in SCENARIOS:
        for connections in CONNECTIONS:
            row[f"{scenario}_{connections}_per_second"] = per_second
            row[f"{scenario}_{connections}_p99_ms"] = p99_ms
    return row


def _held(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[bool]:
    rows = [dict(ours), dict(theirs)]
    add_ratios(rows)
    return [target.holds for target in targets_of(rows)]


def test_a_refused_request_is_not_in_the_rate() -> None:
    figures = Figures(seconds=2.0, answers=100, refused=40, broken=0, p50_ms=1.0, p99_ms=2.0)

    assert figures.per_second == 30


def test_the_promises_are_multiples_of_the_peers_rate_and_its_slowest_answers() -> None:
    peer = _row("peer", 100.0, 50.0)

    assert all(_held(_row("ours", 400.0, 50.0), peer))
    # Three times as fast: reads of the profile and new transactions have to be four times as fast, the others three.
    rates = [False, False, True, True, True, True, False, False]
    assert _held(_row("ours", 300.0, 51.0), peer) == [*rates, False, False, False]
