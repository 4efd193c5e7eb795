"""Patterns: regular expressions that read a bounded piece of text, because most text comes from outside.

`re` holds the interpreter lock until it has its answer: while it reads one long text, the process sends no heartbeat.
So each pattern is declared with the most characters that it reads, and no other module uses `re`. A test gives every
declared pattern a megabyte of many shapes.
"""

import re
from collections.abc import Callable, Iterator


class Pattern:
    """Regular expression that reads at most `longest` characters of a text.

    Declare it as a constant of a module, written so that it needs linear time: no quantifier within another one, and no
    start within what a failed match has read.
    """

    def __init__(self, expression: str, *, longest: int, flags: re.RegexFlag = re.NOFLAG) -> None:
        self._compiled = re.compile(expression, flags)
        self.expression, self.longest = expression, longest

    def __repr__(self) -> str:
        return f"Pattern({self.expression!r}, longest={self.longest})"

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """Return the match of the whole text; None for one that is longer than `longest`."""
        return self._compiled.fullmatch(text) if len(text) <= self.longest else None

    def search(self, text: str) -> re.Match[str] | None:
        """Return the first match in the first `longest` characters."""
        return self._compiled.search(text, 0, self.longest)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Yield the matches in the first `longest` characters."""
        return self._compiled.finditer(text, 0, self.longest)

    def sub(self, replacement: str | Callable[[re.Match[str]], str], text: str) -> str:
        """Return the first `longest` characters with each match replaced; what follows them is cut off."""
        return self._compiled.sub(replacement, text[: self.longest])


#: Flags, so that no other module needs `re`.
IGNORE_CASE, MULTILINE, DOT_ALL, ASCII = re.IGNORECASE, re.MULTILINE, re.DOTALL, re.ASCII
#: A match, as annotations name it.
Match = re.Match[str]
