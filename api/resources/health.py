"""`/healthz`, `/readyz`, `/metrics`: for who watches this process."""

from collections.abc import Iterable

import falcon
import orjson

from moneyflow.platform.telemetry.health import Check, failures
from moneyflow.platform.telemetry.metrics import CONTENT_TYPE, metrics_text


class Alive:
    """Answering is all the progress that an HTTP process makes."""

    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        """Answer."""
        response.data = orjson.dumps({"ok": True, "problems": []})


class Ready:
    """Whether what no request can do without is there; Redis only wakes the relay sooner."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self._checks = tuple(checks)

    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        """Ask the servers; 503 when one does not answer."""
        problems = failures(self._checks)
        response.status = falcon.HTTP_503 if problems else falcon.HTTP_200
        response.data = orjson.dumps({"ok": not problems, "problems": problems})


class Metrics:
    """The metrics of all processes behind this port."""

    def __init__(self, multiprocess_directory: str | None) -> None:
        self._directory = multiprocess_directory

    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        """Write them as Prometheus reads them."""
        response.content_type = CONTENT_TYPE
        response.data = metrics_text(self._directory)
