"""Failpoints: the names in the code are the declared ones, and without a hook nothing happens there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyflow.platform import failpoints
from tests.support import sabotage

_ROOT = Path(__file__).parents[2]
_REACHED = re.compile(r"""\breach(?:\(|, )"([\w.]+)"\)""")


@pytest.fixture(autouse=True)
def _no_hook() -> Iterator[None]:
    yield
    failpoints.set_hook(None)


def test_the_names_in_the_code_are_exactly_the_declared_ones() -> None:
    files = [path for part in ("moneyflow", "workers", "consumers", "api") for path in (_ROOT / part).rglob("*.py")]

    found = {name for path in files for name in _REACHED.findall(path.read_text(encoding="utf-8"))}

    assert found == set(failpoints.POINTS)


def test_a_hook_hears_of_every_point_that_is_reached() -> None:
    heard: list[str] = []
    failpoints.set_hook(heard.append)

    for point in failpoints.POINTS:
        failpoints.reach(point)

    assert heard == list(failpoints.POINTS)


def test_a_name_that_is_not_declared_fails_with_a_hook_and_as_a_sabotage() -> None:
    failpoints.set_hook(lambda _: None)

    with pytest.raises(ValueError, match="declare it"):
        failpoints.reach("worker.unheard_of")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no failpoint"):
        sabotage.dies_at("worker.unheard_of", "1")
