"""The double's server: both APIs with their faults, an admin API, and a page that shows the contacts.

`GET /admin` returns counts; `GET|PUT|DELETE /admin/faults` shows, sets and clears faults, as a list of objects such as
`{"kind": "rate_limit", "times": 3, "seconds": 2}`; `GET|DELETE /admin/contacts` shows and deletes the contacts.
"""

import html
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ops.dev.crm_double.faults import Fault, Faults
from ops.dev.crm_double.hubspot import REQUESTS, HubSpotApi, Reply, error, limited, refused_batch
from ops.dev.crm_double.store import Store
from ops.dev.crm_double.webhook import WebhookReceiver, read

#: Largest body: a hundred contacts take some forty kilobytes.
_MOST_BYTES = 4 * 1024 * 1024


@dataclass
class Double:
    """The CRM: its contacts, its two APIs and its faults."""

    store: Store
    token: str
    secrets: Sequence[str]
    requests_in_ten_seconds: int = REQUESTS
    faults: Faults = field(default_factory=Faults)
    answers: Counter[str] = field(default_factory=Counter)
    #: Set at the end: requests that wait get no answer.
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.hubspot = HubSpotApi(self.store, token=self.token, requests=self.requests_in_ten_seconds)
        self.webhook = WebhookReceiver(self.store, secrets=self.secrets)

    def handle(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], content: bytes
    ) -> Reply | None:
        """Answer a request of a client; None: the connection ends without an answer."""
        if self.hubspot.handles(path):
            refusal, body = self.hubspot.check(headers), read(content)
            ids = self.hubspot.ids_of(body) if path.endswith("/upsert") else []
            return refusal or self._with_faults(
                ids, lambda refused: self.hubspot.answer(method, path, query, body, refused=refused), names_refused=True
            )
        if method != "POST":
            return Reply(status=404, body={"error": "there is nothing here; see /admin"})
        refusal, body = self.webhook.check(content, headers), read(content)
        return refusal or self._with_faults(
            self.webhook.ids_of(body), lambda _: self.webhook.answer(body), names_refused=False
        )

    def _with_faults(
        self, ids: Sequence[str], act: Callable[[str | None], Reply], *, names_refused: bool
    ) -> Reply | None:
        fault = self.faults.next(ids)
        if fault is None:
            return act(None)
        early = _instead(fault, names_refused=names_refused)
        if early is not None:
            return early
        if fault.kind in {"slow", "timeout"}:
            has_ended = self.stopping.wait(fault.seconds)
            return act(None) if fault.kind == "slow" and not has_ended else None
        if fault.kind == "late":
            timer = threading.Timer(fault.seconds, act, [None])
            timer.daemon = True
            timer.start()
            return None
        refused = (fault.about or (ids[0] if ids else None)) if fault.kind == "refuse" else None
        reply = act(refused)
        if fault.kind == "duplicate":
            act(None)
        if fault.kind == "error_after":
            return Reply(status=500, body=error("INTERNAL_ERROR", "internal error"))
        return None if fault.kind == "cut" else reply

    def admin(self, method: str, path: str, content: bytes) -> Reply:
        """Answer a request of a developer or a test."""
        match method, path.removeprefix("/admin"):
            case "GET", "":
                counts = {"contacts": len(self.store.everything()), "answers": dict(self.answers)}
                return Reply(status=200, body={**counts, "faults_met": dict(self.faults.met)})
            case (("GET" | "DELETE"), "/contacts"):
                if method == "DELETE":
                    self.store.clear()
                return Reply(status=200, body={"contacts": [row.__dict__ for row in self.store.everything()]})
            case (("GET" | "PUT" | "DELETE"), "/faults"):
                return self._change_faults(method, content)
        return Reply(status=404, body={"error": "see /admin, /admin/faults and /admin/contacts"})

    def _change_faults(self, method: str, content: bytes) -> Reply:
        try:
            if method != "GET":
                self.faults.set(json.loads(content) if method == "PUT" else [])
        except (TypeError, ValueError) as problem:
            return Reply(status=400, body={"error": str(problem)})
        return Reply(status=200, body={"faults": self.faults.listed()})


def _instead(fault: Fault, *, names_refused: bool) -> Reply | None:
    """Return the answer of a fault in which nothing is done; None of any other."""
    match fault.kind:
        case "rate_limit":
            return limited("TEN_SECONDLY_ROLLING", seconds=round(fault.seconds))
        case "daily_limit":
            return limited("DAILY", seconds=None)
        case "error":
            return Reply(status=500, body=error("INTERNAL_ERROR", "internal error"))
        case "unauthorized":
            return Reply(status=401, body=error("INVALID_AUTHENTICATION", "Authentication credentials not found."))
    if fault.kind == "refuse_batch" or (fault.kind == "refuse" and not names_refused):
        return refused_batch()
    return None


def serve(double: Double, *, host: str, port: int) -> ThreadingHTTPServer:  # noqa: C901 - one small class of small methods
    """Serve the double in threads; it is closed by `shutdown` and `server_close`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            url = urlsplit(self.path)
            path, query = url.path.rstrip("/"), dict(parse_qsl(url.query))
            content = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), _MOST_BYTES))
            if path.startswith("/admin"):
                self._send(double.admin(self.command, path, content))
            elif self.command == "GET" and not path:
                self._page()
            else:
                self._client(path, query, content)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the names of http.server

        def _client(self, path: str, query: dict[str, str], content: bytes) -> None:
            try:
                reply = double.handle(self.command, path, query, self.headers, content)  # type: ignore[arg-type] # a mapping
            except (AttributeError, KeyError, TypeError, ValueError) as problem:
                reply = Reply(status=400, body=error("VALIDATION_ERROR", f"Invalid input JSON: {problem!r}"))
            double.answers[str(reply.status) if reply else "none"] += 1
            if reply is None:
                self.close_connection = True
            else:
                self._send(reply)

        def _send(self, reply: Reply) -> None:
            body = b"" if reply.body is None else json.dumps(reply.body).encode()
            self._write(reply.status, body, "application/json", reply.headers)

        def _page(self) -> None:
            rows = "".join(
                "<tr>" + "".join(f"<td>{html.escape(str(value))}" for value in (row.id, *row.properties.values()))
                for row in double.store.everything()
            )
            text = f'<!doctype html><meta charset="utf-8"><title>CRM</title><h1>Contacts</h1><table>{rows}</table>'
            self._write(200, text.encode(), "text/html; charset=utf-8", {})

        def _write(self, status: int, body: bytes, kind: str, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):  # The client has closed the connection.
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Log no requests: the log is for errors."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server
