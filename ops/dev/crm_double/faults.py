"""The double's faults: which one the next request meets."""

import random
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

#: What a request can meet. `rate_limit`: 429 with Retry-After. `daily_limit`: 429 of the daily policy. `error`: 500,
#: nothing is kept. `error_after`: it is kept, then 500. `timeout`: nothing is kept, and no answer comes. `slow`: the
#: answer comes after `seconds`. `cut`: it is kept, and the connection ends without an answer. `late`: the connection
#: ends, and it is kept `seconds` later. `duplicate`: it arrives twice. `refuse`: 4xx of one person, whom the answer
#: names where the API has that. `refuse_batch`: 4xx of the whole request because of that person. `unauthorized`: 401.
KINDS = (
    "rate_limit", "daily_limit", "error", "error_after", "timeout", "slow", "cut", "late", "duplicate", "refuse",
    "refuse_batch", "unauthorized",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault: of `times` requests (None: of all), of a `share` of them, or of those with the person `about` alone."""

    kind: str
    times: int | None = 1
    share: float = 1.0
    seconds: float = 1.0
    about: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is unknown; there are {', '.join(KINDS)}")


class Faults:
    """The faults that are switched on, and how often each was met."""

    def __init__(self, seed: int = 1) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._dice = random.Random(seed)  # noqa: S311 - the same seed draws the same faults
        self.met: Counter[str] = Counter()

    def set(self, faults: Collection[Mapping[str, Any]]) -> None:
        """Replace all faults; raises ValueError and TypeError."""
        made = [Fault(**one) for one in faults]
        with self._lock:
            self._faults = made

    def listed(self) -> list[dict[str, Any]]:
        """Return those that are still on."""
        with self._lock:
            return [one.__dict__ for one in self._faults]

    def next(self, ids: Collection[str]) -> Fault | None:
        """Return the fault that a request about these people meets."""
        with self._lock:
            for at, fault in enumerate(self._faults):
                if (fault.about is None or fault.about in ids) and self._dice.random() < fault.share:
                    self._use(at, fault)
                    self.met[fault.kind] += 1
                    return fault
        return None

    def _use(self, at: int, fault: Fault) -> None:
        if fault.times is None:
            return
        if fault.times <= 1:
            del self._faults[at]
        else:
            self._faults[at] = replace(fault, times=fault.times - 1)
