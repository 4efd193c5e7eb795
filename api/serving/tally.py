"""A tally: the sum of one number of each connection, each as it was counted last."""

from typing import Generic, TypeVar

K = TypeVar("K")


class Tally(Generic[K]):
    """Keeps the numbers above zero, and their sum."""

    def __init__(self) -> None:
        self._numbers: dict[K, int] = {}
        self.total = 0

    def count(self, one: K, number: int) -> None:
        """Count a number in place of the one before."""
        self.total += number - self._numbers.pop(one, 0)
        if number:
            self._numbers[one] = number
