"""Health port of a process: `/healthz`, `/readyz` and `/metrics`."""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson

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
) -> ThreadingHTTPServer:
    """Answer `/healthz`, `/readyz` and `/metrics` from a thread of its own until the process ends."""
    routes = {"/healthz": tuple(alive), "/readyz": tuple(ready)}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, metrics_text(multiprocess_directory), CONTENT_TYPE)
            elif path in routes:
                complaints = failures(routes[path])
                body = orjson.dumps({"ok": not complaints, "problems": complaints})
                self._answer(503 if complaints else 200, body, "application/json")
            else:
                self._answer(404, b"{}", "application/json")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # The client closed its connection meanwhile.
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep health checks out of the log."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
