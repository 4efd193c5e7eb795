"""The fault suite's own arithmetic: the bound of the probability of a loss."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.report import Round, as_markdown, upper_bound, write


@pytest.mark.parametrize("accepted", [100, 1000, 20_000])
def test_the_bound_without_a_loss_is_about_three_in_all(accepted: int) -> None:
    assert upper_bound(0, accepted) == pytest.approx(3 / accepted, rel=0.03)


@pytest.mark.parametrize(("lost", "accepted", "bound"), [(1, 100, 0.0466), (5, 1000, 0.01048), (1, 2, 0.9747)])
def test_the_bound_with_losses_is_the_one_of_clopper_and_pearson(lost: int, accepted: int, bound: float) -> None:
    assert upper_bound(lost, accepted) == pytest.approx(bound, rel=0.002)


def test_all_lost_bounds_nothing() -> None:
    assert upper_bound(7, 7) == 1.0


def test_controls_are_reported_and_not_added_up() -> None:
    ours, control = Round("ours", seed=1, accepted=300), Round("theirs", seed=1, accepted=500, lost=9, is_control=True)

    text = as_markdown([ours, control])

    assert "| theirs (control) | 1 | 500 " in text
    assert "300 jobs accepted, 0 faults, 0 lost" in text


def test_the_written_report_holds_every_round_with_its_faults(tmp_path: Path) -> None:
    write([Round("ours", seed=7, accepted=300, faults=Counter(kill=2, cut=1))], tmp_path / "results")

    (written,) = json.loads((tmp_path / "results" / "chaos.json").read_text())
    assert (written["name"], written["seed"], written["faults"]) == ("ours", 7, {"kill": 2, "cut": 1})
    assert "300 jobs accepted, 3 faults" in (tmp_path / "results" / "chaos.md").read_text()
