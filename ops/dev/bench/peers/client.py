"""`python -m ops.dev.bench.peers.client MODULE`: enqueue jobs of one system on request; a request is a line of JSON.

Each client is a process, the same for every system, so that clients compete with workers for the processors as in
production. The answer to a request says when each enqueue was called and when it returned.
"""

import importlib
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Protocol


class Client(Protocol):
    """The client of one system."""

    def enqueue(self, kind: str, tags: list[int], *, urgent: bool) -> float:
        """Enqueue the jobs together; return when they were enqueued."""


@dataclass(frozen=True, kw_only=True)
class EnqueueRequest:
    """Jobs to enqueue: `together` of them in one transaction, one such lot each `every_seconds`."""

    kind: str
    first_tag: int
    count: int
    together: int = 1
    every_seconds: float = 0.0
    urgent: bool = False

    def line(self) -> str:
        """Return the request as a line of JSON."""
        return json.dumps(asdict(self)) + "\n"


def serve(client: Client, request: EnqueueRequest) -> dict[str, Any]:
    """Enqueue; return for each lot when it was called and when it returned."""
    called, returned = [], []
    begun = time.time()
    end = request.first_tag + request.count
    for number, first in enumerate(range(request.first_tag, end, request.together)):
        time.sleep(max(0.0, begun + number * request.every_seconds - time.time()))
        tags = list(range(first, min(first + request.together, end)))
        called.append(time.time())
        returned.append(client.enqueue(request.kind, tags, urgent=request.urgent))
    return {"called": called, "returned": returned}


def main() -> None:
    """Serve requests until standard input ends; answers go to standard output, logs to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    client: Client = importlib.import_module(sys.argv[1]).Client()
    for line in sys.stdin:
        answers.write(json.dumps(serve(client, EnqueueRequest(**json.loads(line)))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
