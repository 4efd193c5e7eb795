"""A storm: the lanes of faults, side by side, for as long as it is to last."""

import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

from tests.chaos.faults import LANES, Lane, deal
from tests.chaos.scene import Scene


class Storm:
    """While the block runs, faults happen; its end waits for the last of them. `only` says which, and how often."""

    def __init__(
        self,
        scene: Scene,
        *,
        seed: int,
        seconds: float,
        only: dict[str, int] | None = None,
        pause: tuple[float, float] = (0.2, 1.2),
    ) -> None:
        self.faults: Counter[str] = Counter()
        self._scene = scene
        self._seed = seed
        self._only = only
        self._pause = pause
        self._ends = time.monotonic() + seconds
        self._stopping = threading.Event()
        self._errors: list[BaseException] = []
        self._lanes = [threading.Thread(target=self._keep_errors, args=(lane,), name=lane) for lane in LANES]

    def __enter__(self) -> Self:
        for lane in self._lanes:
            lane.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None:
            self._stopping.set()
        for lane in self._lanes:
            lane.join()
        if self._errors and kind is None:
            raise self._errors[0]

    def _keep_errors(self, lane: Lane) -> None:
        try:
            self._run(lane)
        except BaseException as error:  # noqa: BLE001 - raised where the test sees it
            self._errors.append(error)

    def _run(self, lane: Lane) -> None:
        for fault, dice in deal(self._seed, lane, self._only):
            if self._stopping.wait(dice.uniform(*self._pause)):
                return
            if time.monotonic() > self._ends:
                return
            if lane == "processes":
                self._scene.revive()
            fault.do(self._scene, dice)
            self.faults[fault.name] += 1
