"""Health port of a process: `/healthz`, `/readyz` and `/metrics`."""

from collections.abc import Callable, Iterable

import orjson

from moneyflow.platform.telemetry.health_server import Answer, HealthServer
from moneyflow.platform.telemetry.metrics import CONTENT_TYPE, metrics_text

Check = Callable[[], str | None]


def failures(checks: Iterable[Check]) -> list[str]:
    """Return the complaints of the checks; a check that raises complains with its error."""
    complaints = []
    for check in checks:
        try:
            complaint = check()
        except Exception as error:  # noqa: BLE001 - any error of a check means that its server does not answer
            complaint = f"{type(error).__name__}: {error}"
        if complaint:
            complaints.append(complaint)
    return complaints


def serve_health(
    *,
    host: str,
    port: int,
    alive: Iterable[Check],
    ready: Iterable[Check],
    multiprocess_directory: str | None = None,
    shares_port: bool = False,
) -> HealthServer:
    """Answer `/healthz`, `/readyz` and `/metrics` from threads of its own until the process ends.

    The metrics are those of all processes that keep them in `multiprocess_directory`, or this one's.
    """
    alive, ready = tuple(alive), tuple(ready)
    return HealthServer(
        host,
        port,
        {
            "/healthz": lambda: _checked(alive),
            "/readyz": lambda: _checked(ready),
            "/metrics": lambda: Answer(200, metrics_text(multiprocess_directory), CONTENT_TYPE),
        },
        shares_port=shares_port,
    )


def _checked(checks: Iterable[Check]) -> Answer:
    complaints = failures(checks)
    body = orjson.dumps({"ok": not complaints, "problems": complaints})
    return Answer(503 if complaints else 200, body, "application/json")
