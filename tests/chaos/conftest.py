"""The product's own processes on this test's database and brokers, as the end-to-end tests have them."""

import pytest

from tests.e2e.conftest import platform, processes

__all__ = ["platform", "processes"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each round of random faults its seed."""
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--chaos-seed")
        metafunc.parametrize("seed", range(first, first + metafunc.config.getoption("--chaos-rounds")))
