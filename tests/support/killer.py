"""Kills processes at random and starts them again at once, again and again; only those that the test started."""

import random
import threading
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.support.processes import Process


class Killer:
    """While the block runs, one of the processes is killed every `seconds`; `kills` counts by command.

    After the `most` kills it stops: on a busy machine a process might else be killed before it has done anything.
    """

    def __init__(self, processes: Sequence[Process], *, seconds: float, seed: int, most: int = 1000) -> None:
        self._most = most
        self.kills: Counter[str] = Counter()
        self._processes = processes
        self._seconds = seconds
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while self.kills.total() < self._most and not self._stopping.wait(self._seconds):
            process = self._random.choice(self._processes)
            process.kill()
            self.kills[process.command[-1]] += 1
            process.launch()
