"""Plan of a benchmark run: its servers, its numbers, and where it logs its progress."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ops.dev.bench.jobs.listener import Listener
from ops.dev.bench.jobs.systems import System
from ops.dev.bench.jobs.testbed import Testbed
from ops.dev.bench.jobs.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of the filled table of the part `growth`: the number of jobs by state."""

    finished: int = 10_000_000
    scheduled: int = 1_000_000
    failed: int = 100_000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Servers and numbers of one run: `rounds` rounds, with `jobs` jobs or `events` events in a measurement."""

    testbed: Testbed
    listener: Listener
    rounds: int
    jobs: int
    rows: Rows
    events: int
    #: Events of the backlog with which the memory of the consumers is measured; none by 0.
    backlog: int
    log: Callable[[str], None]

    def share(self, part: float) -> int:
        """Return a part of the number of jobs, at least 4."""
        return max(4, round(self.jobs * part))

    def rounds_in_turn(self, *systems: System) -> Iterator[Trial]:
        """Yield a trial of each system in each round, so that a noisy machine is noisy for all of them."""
        for number in range(self.rounds):
            for system in systems:
                self.log(f"round {number + 1} of {self.rounds}: {system.name}")
                with Trial(self.testbed, self.listener, system) as trial:
                    yield trial
