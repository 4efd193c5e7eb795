"""Failpoints: what the code reaches is declared next to it, and without a hook nothing happens there."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from moneyflow.platform import failpoints
from tests.support import sabotage
from tests.support.failpoints import DECLARED, named_in_source, of_every_process, sources


@pytest.fixture(autouse=True)
def _no_hook() -> Iterator[None]:
    yield
    failpoints.set_hook(None)


def test_the_names_in_the_code_are_exactly_the_declared_ones() -> None:
    assert set(of_every_process()) == named_in_source()


def test_every_point_is_declared_once_and_reached_in_the_module_that_declares_it() -> None:
    declared = Counter(name for text in sources().values() for _, name in DECLARED.findall(text))

    assert {name: count for name, count in declared.items() if count > 1} == {}
    for path, text in sources().items():
        for constant, name in DECLARED.findall(text):
            assert re.search(rf"\breach\({constant}\)", text), f"{path} declares {name} and does not reach it"


def test_a_hook_hears_of_every_point_that_is_reached() -> None:
    heard: list[str] = []
    failpoints.set_hook(heard.append)

    for point in of_every_process():
        failpoints.reach(point)

    assert heard == list(of_every_process())


def test_a_name_that_is_not_declared_fails_with_a_hook_and_as_a_sabotage() -> None:
    failpoints.set_hook(lambda _: None)

    with pytest.raises(ValueError, match="declare it"):
        failpoints.reach("worker.unheard_of")
    with pytest.raises(ValueError, match="no failpoint"):
        sabotage.dies_at("worker.unheard_of", "1")


@pytest.mark.parametrize("name", ["", "committed", "Consumer.committed", "consumer.committed ", "consumer."])
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"of the form consumer\.committed"):
        failpoints.declare(name)
