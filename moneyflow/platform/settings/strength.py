"""Strength of a secret: a low estimate of how many bits an attacker has to guess."""

import math

from moneyflow.platform.patterns import Pattern

#: Characters that a secret has at least.
SHORTEST = 16
#: Bits of the estimate that a secret has at least; sixteen random letters and digits have about sixty.
_FEWEST_BITS = 48
#: Characters in a row that count as a sequence, such as `aaa`, `789` and `qwe`.
_SEQUENCE = 3
_ROWS = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm")
#: Words that are tried first, by people and by programs.
_WORDS = Pattern(
    "password|passphrase|secret|change|default|admin|root|user|login|letmein|welcome|master|dragon|monkey|token|key"
    "|test|example|sample|dev|prod|money|flow|app|owner|relay|audit|analytics|crm|postgres"
    "|rabbitmq|guest|redis|kafka|grafana|pgadmin|mail",
    longest=10_000,
)
_LEET = str.maketrans("@4301$57!", "aaeoisstl")


def weakness(secret: str) -> str | None:
    """Return what is weak in a secret; None when it is strong enough."""
    if len(secret) < SHORTEST:
        return f"has fewer than {SHORTEST} characters"
    return "is easy to guess" if _bits(secret) < _FEWEST_BITS else None


def _bits(secret: str) -> float:
    """Estimate from what is left without repetitions, sequences and common words, and from how varied that is."""
    plain = _once(secret.lower())
    left = min((_without_sequences(_WORDS.sub("", text)) for text in (plain, plain.translate(_LEET))), key=len)
    varied = len(set(left))
    return len(left) * math.log2(varied) if varied > 1 else 0.0


def _once(text: str) -> str:
    """Return the part that a text repeats, or the whole text."""
    period = (text + text).find(text, 1)
    return text[:period]


def _without_sequences(text: str) -> str:
    kept, run = "", ""
    for character in text:
        if run and _follows(run, character):
            run += character
            continue
        kept += run if len(run) < _SEQUENCE else run[:1]
        run = character
    return kept + (run if len(run) < _SEQUENCE else run[:1])


def _follows(run: str, character: str) -> bool:
    """Return whether a character continues a run: the same again, or the next one of a row, in one direction."""
    step = {0} if run[-1] == character else set()
    for row in _ROWS:
        if run[-1] in row and character in row:
            step.add(row.index(character) - row.index(run[-1]))
    if len(run) == 1:
        return bool(step & {-1, 0, 1})
    return bool(step & {-1, 0, 1} & _steps(run[-2], run[-1]))


def _steps(first: str, second: str) -> set[int]:
    steps = {0} if first == second else set()
    return steps | {row.index(second) - row.index(first) for row in _ROWS if first in row and second in row}
