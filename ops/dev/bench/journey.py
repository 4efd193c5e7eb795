"""`python -m ops.dev.bench.journey`: the latency from a sign-up to its mail and to its row in the audit log.

One sign-up at a time on an otherwise idle stack: latency, not throughput. The clock starts before the request is sent.
A mail counts once the catcher lists it, a row once another connection reads it.
"""

import json
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
from rich.console import Console
from rich.progress import track
from rich.table import Table

from moneyflow.settings import load_all

SIGN_UPS = 50
#: The optional argument is the folder for the JSON.
_FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "results"
_RESULTS = _FOLDER / "journey.json"
_POLL_SECONDS = 0.005
_LONGEST_SECONDS = 30.0


def main() -> int:
    """Measure, print a table, write the figures as JSON; return 1 when a promised median is missed."""
    settings = load_all()
    console = Console()
    taken: dict[str, list[float]] = {"answered": [], "mail caught": [], "audited": []}
    tag = secrets.token_hex(4)
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{settings.app_port}", timeout=30, trust_env=False) as api,
        httpx.Client(base_url=settings.mail_catcher_url, timeout=30, trust_env=False) as catcher,
        psycopg.connect(settings.conninfo("audit", application_name="bench journey"), autocommit=True) as log,
    ):
        for number in track(range(SIGN_UPS), "signing up", console=console, transient=True):
            email, request = f"journey{number}@{tag}.example", f"bench-{tag}-{number}"
            began = time.perf_counter()
            body = {"email": email, "name": "A Traveller", "password": "correct horse battery"}
            api.post("/v1/users", json=body, headers={"X-Request-Id": request}).raise_for_status()
            taken["answered"].append(time.perf_counter() - began)
            taken["mail caught"].append(_until(lambda e=email: _caught(catcher, e), began))  # type: ignore[misc]
            taken["audited"].append(_until(lambda r=request: _audited(log, r), began))  # type: ignore[misc]
    return _report(console, taken)


def _until(there: Callable[[], bool], began: float) -> float:
    while not there():
        if time.perf_counter() - began > _LONGEST_SECONDS:
            raise TimeoutError(f"nothing arrived within {_LONGEST_SECONDS} seconds; is the stack up (`make up`)?")
        time.sleep(_POLL_SECONDS)
    return time.perf_counter() - began


def _caught(catcher: httpx.Client, email: str) -> bool:
    newest = catcher.get("/api/v1/messages", params={"limit": 3}).json()["messages"]
    return any(mail["To"][0]["Address"] == email for mail in newest)


def _audited(log: psycopg.Connection[tuple[object, ...]], request: str) -> bool:
    return log.execute("select 1 from audit.events where correlation_id = %s", (request,)).fetchone() is not None


def _report(console: Console, taken: dict[str, list[float]]) -> int:
    table = Table("from the request to", "median ms", "p90 ms", "worst ms", title=f"{SIGN_UPS} sign-ups, one by one")
    result = {}
    for name, seconds in taken.items():
        ordered = sorted(1000 * value for value in seconds)
        figures = (statistics.median(ordered), ordered[int(len(ordered) * 0.9)], ordered[-1])
        result[name] = dict(zip(("median_ms", "p90_ms", "worst_ms"), (round(f, 1) for f in figures), strict=True))
        table.add_row(name, *(f"{figure:.0f}" for figure in figures))
    console.print(table)
    _RESULTS.parent.mkdir(parents=True, exist_ok=True)
    _RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if result["mail caught"]["median_ms"] < 1000 and result["audited"]["median_ms"] < 2000 else 1  # noqa: PLR2004


if __name__ == "__main__":
    sys.exit(main())
