"""The floor: pgbench inserts the same transaction without an application, an event or a key."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ops.dev.bench.jobs.report import short
from ops.dev.bench.jobs.testbed import BenchError, Testbed
from ops.dev.stack.packages import postgres_binaries

_SCRIPT = """insert into transactions (id, user_id, kind, amount, currency, date, note, tags)
values (gen_random_uuid(), (select id from users order by id offset :client_id limit 1), 'expense', 12.30, 'EUR',
    '2026-02-28', 'two loaves of bread', '{bakery,weekend}');
"""
_THREADS = 2


def measured(testbed: Testbed, *, connections: Sequence[int], seconds: int) -> dict[str, float]:
    """Return the inserts per second, each a transaction, by the number of connections."""
    script = testbed.folder / "insert.sql"
    script.write_text(_SCRIPT, encoding="utf-8")
    return {
        f"pgbench_inserts_{number}_per_second": _rate(testbed, script, connections=number, seconds=seconds)
        for number in connections
    }


def _rate(testbed: Testbed, script: Path, *, connections: int, seconds: int) -> float:
    load = [f"--client={connections}", f"--jobs={_THREADS}", f"--time={seconds}"]
    options = ["--no-vacuum", "--protocol=prepared", *load, f"--file={script}"]
    command = [str(postgres_binaries() / "pgbench"), *options, testbed.superuser_conninfo()]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    rates = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("tps")]
    if done.returncode or not rates:
        raise BenchError(f"pgbench ended with {done.returncode}: {done.stderr or done.stdout}")
    return short(float(rates[0]))
