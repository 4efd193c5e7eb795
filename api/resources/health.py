"""`/healthz`, `/readyz`, `/metrics`: the health of this process, for orchestrators and Prometheus."""

from collections.abc import Iterable

import falcon
import orjson
from typing_extensions import TypedDict

from api.descriptions import Content, describes
from api.guards import public
from moneyflow.platform.telemetry.health import Check, failures
from moneyflow.platform.telemetry.metrics import CONTENT_TYPE, metrics_text


class Health(TypedDict):
    """Whether the process works; `problems` has a line for each server that does not answer."""

    ok: bool
    problems: list[str]


class Alive:
    """Liveness: an HTTP process that answers makes progress."""

    @public
    @describes("check_liveness", answers={200: Health}, local=True)
    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        """Answer."""
        health: Health = {"ok": True, "problems": []}
        response.data = orjson.dumps(health)


class Ready:
    """Readiness: whether Postgres answers. Redis is not asked, because requests succeed without it."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self._checks = tuple(checks)

    @public
    @describes("check_readiness", answers={200: Health, 503: Health})
    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        """Check the servers; 503 when one does not answer."""
        problems = failures(self._checks)
        response.status = falcon.HTTP_503 if problems else falcon.HTTP_200
        health: Health = {"ok": not problems, "problems": problems}
        response.data = orjson.dumps(health)


class Metrics:
    """Metrics of all processes that share this port."""

    def __init__(self, multiprocess_directory: str | None) -> None:
        self._directory = multiprocess_directory

    @public
    @describes("read_metrics", answers={200: Content("text/plain")}, local=True)
    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        """Return them in Prometheus's text format."""
        response.content_type = CONTENT_TYPE
        response.data = metrics_text(self._directory)
