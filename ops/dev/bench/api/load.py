"""Load: wrk sends the requests of a scenario over some connections, as fast as they are answered."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ops.dev.bench.jobs.testbed import BenchError

_SCRIPT = Path(__file__).with_name("wrk.lua")
_THREADS = 2
#: A part of a request for which each sending has another text, as an `Idempotency-Key` needs.
ANOTHER_EACH_TIME = "another-text-with-each-sending"
#: Seconds that an answer may take: a sign-in waits for the hashes of all others.
_LONGEST_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run of wrk has measured."""

    seconds: float
    #: All answers, and those with a status from 400.
    answers: int
    refused: int
    #: Requests that got no answer.
    broken: int
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Return the successful answers per second."""
        return (self.answers - self.refused) / self.seconds


def send(
    requests: Sequence[bytes], *, port: int, connections: int, seconds: int, folder: Path, may_be_busy: bool = False
) -> Figures:
    """Send the requests in turn for `seconds`.

    Where the application `may_be_busy`, a 503 is repeated after its `Retry-After`; elsewhere every refusal is an error.

    Raises:
        BenchError: a request was refused, or got no answer.
    """
    kept, result = folder / "wrk-requests", folder / "wrk-result.json"
    kept.write_bytes(b"".join(one + b"\0" for one in requests))
    options = [f"-t{_THREADS}", f"-c{connections}", f"-d{seconds}s", f"--timeout={_LONGEST_SECONDS}s"]
    command = ["wrk", *options, "-s", str(_SCRIPT), f"http://127.0.0.1:{port}", "--", str(kept), str(_THREADS)]
    more = {"BENCH_RESULT": str(result), "BENCH_RUN": uuid4().hex, "BENCH_CONNECTIONS": str(connections)}
    more |= {"BENCH_RETRY_AFTER": "1"} if may_be_busy else {}
    done = subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
    figures = Figures(**json.loads(result.read_text(encoding="utf-8")))
    if figures.broken or (figures.refused and not may_be_busy):
        raise BenchError(f"{figures.refused} requests were refused and {figures.broken} got no answer")
    return figures


def version() -> str:
    """Return wrk's version."""
    shown = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    return (shown.stdout or shown.stderr).split()[1]
