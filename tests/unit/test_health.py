"""The health port: alive and ready say what is wrong, and metrics have the names that dashboards rely on."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from moneyflow.platform.telemetry.health import failures, serve_health
from moneyflow.platform.telemetry.metrics import metrics_text

_ROOT = Path(__file__).parents[2]
#: Who exports what, by the modules that the process imports; `moneyflow_` in front.
_EXPORTED = {
    "api": (
        ("api.app", "moneyflow.platform.jobs.metrics"),
        {"http_requests_total", "http_request_seconds", "jobs_enqueued_total"},
    ),
    "worker": (
        ("workers.__main__", "moneyflow.platform.jobs.metrics", "moneyflow.gateways.mail.metrics"),
        {
            "jobs_enqueued_total", "jobs_finished_total", "job_wait_seconds", "job_run_seconds", "emails_total",
            "purged_rows_total", "email_delivery_seconds", "refused_messages_total", "payment_requests_total",
            "files_swept_total", "files_missing_total",
        },
    ),
    "relay": (
        ("workers.relay.__main__", "moneyflow.platform.jobs.metrics", "workers.relay.metrics"),
        {
            "jobs_in_state", "job_oldest_due_seconds", "jobs_failed_messages", "outbox_unpublished",
            "outbox_oldest_seconds", "relay_published_total", "relay_leader", "schedule_ticks_total", "kind_paused",
            "kind_paused_seconds", "limit_places", "purged_rows_total", "jobs_enqueued_total", "jobs_finished_total",
            "jobs_parked",
        },
    ),
    "consumer": (
        ("consumers.__main__",),
        {
            "consumer_lag", "consumer_lag_seconds", "consumer_events_total", "event_delivery_seconds",
            "consumer_last_progress_timestamp_seconds", "crm_requests_total", "crm_people_total", "crm_contacts",
            "crm_oldest_waiting_seconds", "crm_available",
        },
    ),
}  # fmt: skip
#: Only the process that knows them: elsewhere they would say 0 and be believed.
_ALONE = {
    "relay": "relay_leader jobs_failed_messages jobs_in_state kind_paused kind_paused_seconds limit_places",
    "worker": "refused_messages_total email_delivery_seconds",
    "consumer": "consumer_lag consumer_lag_seconds event_delivery_seconds",
}

Get = Callable[[str], httpx.Response]


def _broken() -> str | None:
    raise OSError("no route")


@pytest.fixture
def get() -> Iterator[Get]:
    """Return what asks a server that is alive and not ready."""
    server = serve_health(
        host="127.0.0.1", port=0, alive=[lambda: None], ready=[lambda: None, lambda: "Kafka is down", _broken]
    )
    yield lambda path: httpx.get(f"http://127.0.0.1:{server.port}{path}", timeout=5, trust_env=False, verify=False)
    server.close()


def test_what_is_well_is_200_and_what_is_not_is_503_with_every_problem(get: Get) -> None:
    alive, ready = get("/healthz"), get("/readyz")

    assert (alive.status_code, alive.json()) == (200, {"ok": True, "problems": []})
    assert (ready.status_code, ready.json()) == (
        503, {"ok": False, "problems": ["Kafka is down", "OSError: no route"]},
    )  # fmt: skip


def test_any_other_path_is_not_found_and_a_query_changes_nothing(get: Get) -> None:
    assert get("/").status_code == 404
    assert get("/healthz?verbose=1").status_code == 200


def test_a_check_that_raises_complains_with_its_error_and_hides_no_other() -> None:
    assert failures([_broken, lambda: None, lambda: "x"]) == ["OSError: no route", "x"]


def test_the_health_port_exports_the_metrics_as_prometheus_reads_them(get: Get) -> None:
    answer = get("/metrics")

    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.startswith("# HELP")
    assert metrics_text(None)


@pytest.mark.parametrize("process", list(_EXPORTED))
def test_each_process_exports_the_metrics_of_the_contract_that_it_knows_and_none_that_another_knows_alone(
    process: str,
) -> None:
    modules, names = _EXPORTED[process]
    others = {name for other, alone in _ALONE.items() if other != process for name in alone.split()}

    exported = _exported(modules)

    assert {f"moneyflow_{name}" for name in names} - exported == set()
    assert {f"moneyflow_{name}" for name in others} & exported == set()


def test_the_runbook_lists_every_metric_with_its_labels_and_who_exports_it() -> None:
    listed: dict[str, set[str]] = {}
    for row in (_ROOT / "ops" / "runbooks" / "metrics.md").read_text().splitlines():
        if row.startswith("| `"):
            name, exporters = row.split("|")[1:3]
            listed[name.strip(" `")] = {exporter.strip() for exporter in exporters.split(",")}

    for process, (modules, names) in _EXPORTED.items():
        with_labels = _with_labels(modules)
        assert {with_labels[f"moneyflow_{name}"] for name in names} == {
            n for n, who in listed.items() if process in who
        }


def _with_labels(modules: tuple[str, ...]) -> dict[str, str]:
    """Return each metric that these modules declare with its labels, as the runbook writes it."""
    program = f"import {', '.join(modules)}\nfrom prometheus_client.registry import REGISTRY\n"
    program += "for made in set(REGISTRY._names_to_collectors.values()):\n"
    program += "    print(getattr(made, '_type', ''), getattr(made, '_name', ''), *getattr(made, '_labelnames', ()))"
    done = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=True)
    found = {}
    for line in done.stdout.splitlines():
        kind, name, *labels = line.split(" ")
        name = f"{name}_total" if kind == "counter" else name
        found[name] = name.removeprefix("moneyflow_") + ("{" + ",".join(labels) + "}" if labels else "")
    return found


def _exported(modules: tuple[str, ...]) -> set[str]:
    """Return the names that an interpreter of its own exports, which has imported these modules and no others."""
    program = f"import {', '.join(modules)}\nfrom moneyflow.platform.telemetry.metrics import metrics_text\n"
    program += "import sys; sys.stdout.buffer.write(metrics_text(None))"
    done = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=True)
    return {line.split()[2] for line in done.stdout.splitlines() if line.startswith("# TYPE moneyflow_")}
