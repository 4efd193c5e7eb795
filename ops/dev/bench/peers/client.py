"""`python -m ops.dev.bench.peers.client MODULE`: enqueue jobs of one system as the benchmark asks, a JSON line a wish.

A process of its own, for every system the same, so that clients compete with workers as they do in life, and eight
clients are eight processes. It answers a wish with when each enqueue was called and when it had returned.
"""

import importlib
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Protocol


class Client(Protocol):
    """How one system enqueues."""

    def enqueue(self, kind: str, tags: list[int], *, urgent: bool) -> float:
        """Enqueue the jobs together and return when they were there."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Jobs to be enqueued: `together` of them in one transaction, one such lot each `every_seconds`."""

    kind: str
    first_tag: int
    count: int
    together: int = 1
    every_seconds: float = 0.0
    urgent: bool = False

    def line(self) -> str:
        """Return the wish as a line of JSON."""
        return json.dumps(asdict(self)) + "\n"


def fulfil(client: Client, wish: Wish) -> dict[str, Any]:
    """Enqueue; return for each lot when it was called and when it had returned."""
    called, returned = [], []
    begun = time.time()
    for number, first in enumerate(range(wish.first_tag, wish.first_tag + wish.count, wish.together)):
        time.sleep(max(0.0, begun + number * wish.every_seconds - time.time()))
        tags = list(range(first, min(first + wish.together, wish.first_tag + wish.count)))
        called.append(time.time())
        returned.append(client.enqueue(wish.kind, tags, urgent=wish.urgent))
    return {"called": called, "returned": returned}


def main() -> None:
    """Fulfil wishes until there are no more; the answers alone go to standard output, logs go to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    client: Client = importlib.import_module(sys.argv[1]).Client()
    for line in sys.stdin:
        answers.write(json.dumps(fulfil(client, Wish(**json.loads(line)))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
