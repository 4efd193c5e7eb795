"""Known and unknown addresses differ in no time that a stranger sees: until the answer, and until the job is done.

The long form of `tests/integration/test_known_addresses.py`, which compares the work instead of the time.
"""

import json
import random
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import httpx
import pytest

from moneyflow.accounts.passwords import Passwords
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from tests.support.processes import Processes

#: Standard errors by which two cases may differ.
_MOST = 3.0
#: Jobs that are watched at once. A job is shown as done seconds after its request: so many of them do not add up.
_WATCHED = 16
#: Seconds between two looks at a job: at first short, to see one that is shown early, then long, to leave the API idle.
_AT_FIRST, _LATER, _EARLY = 0.01, 0.25, 0.3

_ROUTES = ["/v1/users", "/v1/sessions", "/v1/password-resets", "/v1/users/activation/resend"]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The seconds of one request until its answer, and until its job is seen as done."""

    is_known: bool
    answer: float
    done: float


@pytest.fixture
def samples(pytestconfig: pytest.Config) -> int:
    """Return the number of requests of each case; only the long form has any."""
    count = int(pytestconfig.getoption("--address-samples"))
    if count == 0:
        pytest.skip("the long form measures times: make acceptance ARGS=api")
    return count


@pytest.fixture
def client(samples: int, platform: AllSettings, processes: Processes) -> Iterator[httpx.Client]:
    """Return a client of the running product, whose limits let all samples through."""
    assert samples
    processes.relay(wait_ready=False)
    processes.worker()
    api = processes.api(API_LIMITS_FACTOR="1000000")
    with httpx.Client(base_url=f"http://127.0.0.1:{api.port}", timeout=30, trust_env=False) as client:
        yield client


def _addresses(database: Database, count: int, *, active: bool) -> list[str]:
    """Return addresses that have accounts."""
    emails, password_hash = _unknown(count), Passwords().hash("correct horse battery")
    with database.transaction() as session:
        session.execute_many(
            "insert into users (id, email, name, password_hash, activated_at) "
            "values (%(id)s, %(email)s, 'Ada', %(hash)s, case when %(active)s then now() end)",
            [{"id": new_id(), "email": email, "hash": password_hash, "active": active} for email in emails],
        )
    return emails


def _unknown(count: int) -> list[str]:
    return [f"{uuid.uuid4().hex}@mail.example" for _ in range(count)]


def _body(route: str, email: str) -> dict[str, str]:
    if route == "/v1/users":
        return {"email": email, "name": "Ada", "password": "another horse battery"}
    return {"email": email, "password": "another horse battery"} if route == "/v1/sessions" else {"email": email}


def _sampled(client: httpx.Client, route: str, email: str, *, is_known: bool, alone: threading.Lock) -> Sample:
    with alone:  # One request at a time: none waits for the hash of another.
        began = time.perf_counter()
        answer = client.post(route, json=_body(route, email))
        answered = time.perf_counter() - began
    assert answer.status_code == (401 if route == "/v1/sessions" else 202), answer.text
    location = answer.headers.get("Location")
    while location and client.get(location).json()["state"] != "done":
        time.sleep(_AT_FIRST if time.perf_counter() - began < _EARLY else _LATER)
    return Sample(is_known=is_known, answer=answered, done=time.perf_counter() - began)


def _difference(samples: list[Sample], seconds: Callable[[Sample], float]) -> float:
    """Return by how many standard errors the ranks of known and unknown addresses differ (Mann and Whitney, 1947)."""
    ordered = sorted(samples, key=seconds)
    ranks = [rank for rank, sample in enumerate(ordered, start=1) if sample.is_known]
    known, unknown = len(ranks), len(samples) - len(ranks)
    expected = known * (len(samples) + 1) / 2
    return (sum(ranks) - expected) / sqrt(known * unknown * (len(samples) + 1) / 12)


def _milliseconds(samples: list[Sample], seconds: Callable[[Sample], float], *, is_known: bool) -> float:
    return round(statistics.median(seconds(sample) * 1000 for sample in samples if sample.is_known is is_known), 1)


def _report(samples: list[Sample]) -> dict[str, dict[str, float]]:
    """Return for both moments by how many standard errors the cases differ, and the median of each in milliseconds."""
    moments: dict[str, Callable[[Sample], float]] = {"answer": lambda s: s.answer, "done": lambda s: s.done}
    return {
        name: {
            "z": round(_difference(samples, seconds), 2),
            "known_ms": _milliseconds(samples, seconds, is_known=True),
            "unknown_ms": _milliseconds(samples, seconds, is_known=False),
        }
        for name, seconds in moments.items()
    }


def _keep(folder: str, route: str, report: dict[str, dict[str, float]], *, samples: int) -> None:
    """Add the report of a route to those of the others."""
    file = Path(folder, "address_timing.json")
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(json.dumps(kept | {route: {"samples": samples, **report}}, indent=2) + "\n", encoding="utf-8")


@pytest.mark.long_form
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("route", _ROUTES)
def test_known_and_unknown_addresses_differ_in_no_time_that_a_stranger_sees(
    client: httpx.Client, database: Database, samples: int, route: str, pytestconfig: pytest.Config
) -> None:
    known = _addresses(database, samples, active="resend" not in route)
    cases = [(email, True) for email in known] + [(email, False) for email in _unknown(samples)]
    random.Random(1).shuffle(cases)
    alone = threading.Lock()
    for email in _unknown(10):  # The first requests of a process pay for what it loads.
        client.post(route, json=_body(route, email))

    with ThreadPoolExecutor(_WATCHED) as pool:
        found = list(pool.map(lambda case: _sampled(client, route, case[0], is_known=case[1], alone=alone), cases))

    report = _report(found)
    print(route, report)
    if folder := pytestconfig.getoption("--api-results"):
        _keep(folder, route, report, samples=samples)
    assert abs(report["answer"]["z"]) < _MOST
    assert abs(report["done"]["z"]) < _MOST


def test_a_difference_is_seen() -> None:
    steps = [Sample(is_known=bool(n % 2), answer=n / 1000, done=n / 1000 + (n % 2) * 0.05) for n in range(200)]

    assert abs(_difference(steps, lambda sample: sample.answer)) < _MOST
    assert _difference(steps, lambda sample: sample.done) > _MOST
