"""Seeds and rounds, and the report of all rounds."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moneyflow.settings import AllSettings
from tests.chaos.report import Round, as_markdown, write
from tests.chaos.scene import Scene
from tests.support.processes import Processes
from tests.support.proxy import Proxies
from tests.support.servers import RealServers

_ROUNDS = pytest.StashKey[list[Round]]()


@pytest.fixture
def is_long(pytestconfig: pytest.Config) -> bool:
    """Say whether this is the long form, as `make chaos` asks for."""
    return bool(pytestconfig.getoption("--chaos-rounds") > 0)


@pytest.fixture
def make_scene(
    servers: RealServers, platform: AllSettings, environment: dict[str, str], processes: Processes
) -> Iterator[Callable[[str], Scene]]:
    """Return what makes this test's scene, without any process; each that is started is sabotaged as it says."""
    with Proxies() as proxies:
        made: list[Scene] = []

        def make(sabotage: str) -> Scene:
            made.append(Scene(servers, platform, environment, processes, proxies=proxies, sabotage=sabotage))
            return made[-1]

        yield make
        for scene in made:
            scene.heal_servers()


@pytest.fixture
def first_seed(pytestconfig: pytest.Config) -> int:
    """Return the seed of the first round, for what is not repeated with each."""
    return int(pytestconfig.getoption("--chaos-seed"))


@pytest.fixture
def chaos_rounds(pytestconfig: pytest.Config) -> list[Round]:
    """Return the list to which each round is added for the report."""
    return pytestconfig.stash.setdefault(_ROUNDS, [])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each round of random faults its seed; `fewer_seeds` repeats a test in one round of five."""
    first, rounds = metafunc.config.getoption("--chaos-seed"), metafunc.config.getoption("--chaos-rounds")
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(first, first + max(1, rounds)))
    if "fewer_seeds" in metafunc.fixturenames:
        metafunc.parametrize("fewer_seeds", range(first, first + max(1, rounds // 5)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what all rounds together say, and write it where the option wants it."""
    rounds = config.stash.get(_ROUNDS, [])
    if not rounds:
        return
    terminalreporter.section("fault suite")
    terminalreporter.write(as_markdown(rounds))
    folder = config.getoption("--chaos-results")
    if folder:
        write(rounds, Path(folder))
