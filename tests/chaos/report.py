"""What all rounds together say: how much was accepted, what was done to it, and how rare a loss must be."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CONFIDENCE = 0.95


@dataclass
class Round:
    """One round, of ours or of a control."""

    name: str
    seed: int
    accepted: int
    unanswered: int = 0
    refused: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    invented: int = 0
    stuck: int = 0
    crooked: int = 0
    #: Rounds of something that is known to be broken are reported, and not added up.
    is_control: bool = False


def upper_bound(lost: int, accepted: int) -> float:
    """Return what the probability to lose one accepted job is below, with 95 % confidence.

    The exact one-sided bound of Clopper and Pearson; for no loss at all it is about 3/N, the rule of three.
    """
    if lost >= accepted:
        return 1.0
    low, high = lost / accepted, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(lost, accepted, middle) > 1 - _CONFIDENCE else (low, middle)
    return high


def _at_most(count: int, trials: int, probability: float) -> float:
    """Return the binomial probability of at most `count`."""
    if probability in {0.0, 1.0}:
        return 1.0 - probability
    return math.fsum(
        math.exp(
            math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
            + k * math.log(probability) + (trials - k) * math.log1p(-probability)
        )
        for k in range(count + 1)
    )  # fmt: skip


def as_markdown(rounds: Sequence[Round]) -> str:
    """Return the rounds as a table, and what they add up to."""
    lines = [
        "# Fault suite",
        "",
        "| round | seed | accepted | unanswered | refused | faults | lost | doubled | invented | stuck | crooked |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in rounds:
        name = f"{r.name} (control)" if r.is_control else r.name
        numbers = (r.seed, r.accepted, r.unanswered, r.refused, r.faults.total(), r.lost, r.doubled, r.invented,
                   r.stuck, r.crooked)  # fmt: skip
        lines.append(f"| {name} | {' | '.join(map(str, numbers))} |")
    return "\n".join([*lines, "", *_sums(rounds), ""])


def write(rounds: Sequence[Round], folder: Path) -> None:
    """Write `chaos.json` and `chaos.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chaos.json").write_text(json.dumps([vars(r) for r in rounds], indent=1) + "\n", encoding="utf-8")
    (folder / "chaos.md").write_text(as_markdown(rounds), encoding="utf-8")


def _sums(rounds: Sequence[Round]) -> list[str]:
    ours = [r for r in rounds if not r.is_control]
    accepted, lost, doubled = sum(r.accepted for r in ours), sum(r.lost for r in ours), sum(r.doubled for r in ours)
    if not accepted:
        return []
    faults: Counter[str] = sum((r.faults for r in ours), Counter())
    bound = upper_bound(lost, accepted)
    sums = (
        f"{len(ours)} rounds without the controls: {accepted} jobs accepted, {faults.total()} faults, {lost} lost, "
        f"{doubled} doubled, {sum(r.invented for r in ours)} invented."
    )
    confidence = f"With 95 % confidence at most {bound:.2g} of all accepted jobs are lost under such faults."
    return [sums, confidence, "", *(f"- {name}: {count}" for name, count in faults.most_common())]
