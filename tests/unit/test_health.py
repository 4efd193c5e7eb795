"""The health port: alive and ready say what is wrong, and metrics have the names that dashboards rely on."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from moneyflow.platform.telemetry.health import failures, serve_health
from moneyflow.platform.telemetry.metrics import metrics_text

_NAMES = {
    "http_requests_total", "http_request_seconds", "jobs_enqueued_total", "jobs_finished_total", "job_wait_seconds",
    "job_run_seconds", "jobs_in_state", "job_oldest_due_seconds", "jobs_failed_messages", "outbox_unpublished",
    "outbox_oldest_seconds", "relay_published_total", "relay_leader", "consumer_lag", "consumer_events_total",
    "consumer_last_progress_timestamp_seconds", "emails_total",
}  # fmt: skip

Get = Callable[[str], httpx.Response]


def _broken() -> str | None:
    raise OSError("no route")


@pytest.fixture
def get() -> Iterator[Get]:
    """Return what asks a server that is alive and not ready."""
    server = serve_health(
        host="127.0.0.1", port=0, alive=[lambda: None], ready=[lambda: None, lambda: "Kafka is away", _broken]
    )
    port = server.server_address[1]
    yield lambda path: httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False, verify=False)
    server.shutdown()
    server.server_close()


def test_what_is_well_is_200_and_what_is_not_is_503_with_every_problem(get: Get) -> None:
    alive, ready = get("/healthz"), get("/readyz")

    assert (alive.status_code, alive.json()) == (200, {"ok": True, "problems": []})
    assert (ready.status_code, ready.json()) == (
        503, {"ok": False, "problems": ["Kafka is away", "OSError: no route"]},
    )  # fmt: skip


def test_any_other_path_is_not_found_and_a_query_changes_nothing(get: Get) -> None:
    assert get("/").status_code == 404
    assert get("/healthz?verbose=1").status_code == 200


def test_a_check_that_raises_complains_with_its_error_and_hides_no_other() -> None:
    assert failures([_broken, lambda: None, lambda: "x"]) == ["OSError: no route", "x"]


def test_metrics_have_the_names_of_the_contract(get: Get) -> None:
    answer = get("/metrics")

    named = {line.split()[2] for line in answer.text.splitlines() if line.startswith("# TYPE moneyflow_")}
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert {f"moneyflow_{name}" for name in _NAMES} <= named
    assert metrics_text(None)
