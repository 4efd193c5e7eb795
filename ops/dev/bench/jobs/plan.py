"""What a run of the benchmark is asked for, and who tells of its progress."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ops.dev.bench.jobs.contest import Contest
from ops.dev.bench.jobs.contestants import Contestant
from ops.dev.bench.jobs.ground import Ground
from ops.dev.bench.jobs.listener import Listener


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The ground, how often, how many, and where progress is told."""

    ground: Ground
    listener: Listener
    rounds: int
    jobs: int
    tell: Callable[[str], None]

    def share(self, part: float) -> int:
        """Return a part of the number of jobs, and at least a few."""
        return max(4, round(self.jobs * part))

    def rounds_in_turn(self, *contestants: Contestant) -> Iterator[Contest]:
        """Yield each contestant in each round, running, so that a noisy machine is noisy for all of them."""
        for number in range(self.rounds):
            for contestant in contestants:
                self.tell(f"round {number + 1} of {self.rounds}: {contestant.name}")
                with Contest(self.ground, self.listener, contestant) as contest:
                    yield contest
