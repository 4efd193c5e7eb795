"""How faults are declared, and how a seed deals them."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from tests.chaos.scene import Scene

Lane = Literal["processes", "servers", "connections"]
Do = Callable[[Scene, random.Random], None]

LANES: tuple[Lane, ...] = get_args(Lane)


@dataclass(frozen=True)
class Fault:
    """A kind of fault; `most` is how often one round may have it."""

    name: str
    lane: Lane
    most: int
    do: Do


FAULTS: dict[str, Fault] = {}


def fault(lane: Lane, *, most: int) -> Callable[[Do], Do]:
    """Declare a function as the fault of its name; with `most=0` it is dealt only where it is asked for."""

    def declare(do: Do) -> Do:
        name = do.__name__.replace("_", " ")
        FAULTS[name] = Fault(name, lane, most, do)
        return do

    return declare


def deal(seed: int, lane: Lane, only: dict[str, int] | None = None) -> list[tuple[Fault, random.Random]]:
    """Draw the order of a lane's faults, and for each the dice that decide its details.

    `only` names some faults and how often each is to come, in place of all.
    """
    counts = {fault.name: fault.most for fault in FAULTS.values()} if only is None else only
    deck = [FAULTS[name] for name, count in counts.items() if FAULTS[name].lane == lane for _ in range(count)]
    random.Random(f"{lane}/{seed}").shuffle(deck)
    return [(card, random.Random(f"{lane}/{seed}/{number}")) for number, card in enumerate(deck)]
