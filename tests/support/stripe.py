"""Stripe as far as tests need it: stripe-mock, and a recording proxy that gives it what it does not have, a memory.

stripe-mock checks each request by Stripe's own OpenAPI document, and answers from Stripe's own fixtures. It remembers
nothing, so the proxy keeps the first answer of each idempotency key, as Stripe does, and the charges and refunds. A
source behaves as in the sandbox: `tok_declined`, `tok_timeout`, `tok_lost_answer`.
"""

import http.client
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rich.console import Console

from ops.dev.stack import packages
from ops.dev.stack.ports import answers
from ops.dev.stack.processes import spawn, stop, wait_until
from ops.dev.stack.servers.base import process_environment
from tests.support.processes import free_port

#: stripe-mock takes any key of the form of a test key.
API_KEY = "sk_test_123"
_Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A request as it came to Stripe; `number` counts those with the same key, from 1."""

    method: str
    path: str
    key: str | None
    body: str
    number: int

    @property
    def form(self) -> dict[str, str]:
        """Return the fields of the body."""
        return {name: values[0] for name, values in parse_qs(self.body).items()}

    @property
    def source(self) -> str:
        """Return the payment method of a charge."""
        return self.form.get("payment_method", "")


@dataclass
class Stripe:
    """What came to Stripe, and its charges and refunds by their ids.

    `is_unheard` says of which requests nothing arrives, `is_lost` of which the answer does not.
    """

    port: int = 0
    requests: list[Recorded] = field(default_factory=list)
    charges: dict[str, dict[str, str]] = field(default_factory=dict)
    refunds: dict[str, str] = field(default_factory=dict)
    is_unheard: Callable[[Recorded], bool] = lambda one: one.source == "tok_timeout" and one.number == 1
    is_lost: Callable[[Recorded], bool] = lambda one: one.source == "tok_lost_answer" and one.number == 1
    #: Keys whose answers Stripe has forgotten, as it does after a day.
    kept: dict[str, tuple[str, _Answer]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return the address for STRIPE_API_BASE."""
        return f"http://127.0.0.1:{self.port}"

    def charges_sent(self) -> list[Recorded]:
        """Return the requests to charge."""
        return [one for one in self.requests if (one.method, one.path) == ("POST", "/v1/payment_intents")]


class Backend:
    """Answers a request: by the key's first answer, else by stripe-mock and what came before."""

    def __init__(self, stripe: Stripe, mock_port: int) -> None:
        self._stripe = stripe
        self._mock_port = mock_port
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, headers: dict[str, str], body: str) -> _Answer | None:
        """Return status and body; None where the client gets no answer."""
        key = headers.get("Idempotency-Key")
        with self._lock:  # Stripe refuses a second request while the first one is in work; here it waits.
            number = 1 + sum(1 for one in self._stripe.requests if key and one.key == key)
            request = Recorded(method=method, path=urlsplit(path).path, key=key, body=body, number=number)
            self._stripe.requests.append(request)
            if self._stripe.is_unheard(request):
                return None
            found = self._by_key(request, path, headers)
            return None if self._stripe.is_lost(request) else found

    def _by_key(self, request: Recorded, path: str, headers: dict[str, str]) -> _Answer:
        if request.key is None or request.method != "POST":
            return self._done(request, path, headers)
        if request.key not in self._stripe.kept:
            self._stripe.kept[request.key] = (request.body, self._done(request, path, headers))
        body, answer = self._stripe.kept[request.key]
        return answer if body == request.body else _error(400, type="idempotency_error", message="other parameters")

    def _done(self, request: Recorded, path: str, headers: dict[str, str]) -> _Answer:
        status, answer = self._asked(request, path, headers)
        if status != 200:
            return status, answer
        if request.path == "/v1/payment_intents":
            return self._charged(request, answer)
        if request.path == "/v1/refunds":
            return self._refunded(request, answer)
        return status, self._found(path, answer)

    def _asked(self, request: Recorded, path: str, headers: dict[str, str]) -> _Answer:
        """Ask stripe-mock, which refuses what Stripe's API does not have."""
        connection = http.client.HTTPConnection("127.0.0.1", self._mock_port, timeout=30)
        names = ("Authorization", "Content-Type", "Stripe-Version")
        passed: dict[str, str] = {name: headers[name] for name in names if name in headers}
        connection.request(request.method, path, body=request.body or None, headers=passed)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def _charged(self, request: Recorded, answer: dict[str, Any]) -> _Answer:
        if request.source == "tok_declined":
            return _error(402, type="card_error", code="card_declined", decline_code="generic_decline")
        if request.form["currency"] == "dem":
            return _error(400, type="invalid_request_error", param="currency", message="Invalid currency: dem")
        id_, payment_id = f"pi_{uuid.uuid4().hex}", request.form["metadata[payment_id]"]
        self._stripe.charges[id_] = {**request.form, "payment_id": payment_id}
        return 200, {**answer, "id": id_, "status": "succeeded", "metadata": {"payment_id": payment_id}}

    def _refunded(self, request: Recorded, answer: dict[str, Any]) -> _Answer:
        intent = request.form["payment_intent"]
        if intent not in self._stripe.charges:
            return _error(404, type="invalid_request_error", code="resource_missing", param="payment_intent")
        if intent in self._stripe.refunds:
            return _error(400, type="invalid_request_error", code="charge_already_refunded")
        self._stripe.refunds[intent] = answer["id"]
        return 200, {**answer, "status": "succeeded"}

    def _found(self, path: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Return the intents of the payment that a search names, in the form of stripe-mock's."""
        (query,) = parse_qs(urlsplit(path).query)["query"]
        (form,) = answer["data"]
        found = [
            {**form, "id": id_, "status": "succeeded", "metadata": {"payment_id": charge["payment_id"]}}
            for id_, charge in self._stripe.charges.items()
            if f"metadata['payment_id']:'{charge['payment_id']}'" in query
        ]
        return {**answer, "data": found}


@contextmanager
def running_stripe_mock(folder: Path) -> Iterator[int]:
    """Run stripe-mock, and return its port."""
    program, port = packages.stripe_mock(Console(stderr=True)), free_port()
    # It speaks https too, else on a port that several of them would want.
    command = [str(program), "-http-addr", f"127.0.0.1:{port}", "-https-addr", f"127.0.0.1:{free_port()}"]
    log = folder / "stripe-mock.log"
    identity = spawn(command, environment=process_environment(), log=log, folder=folder, dies_with_parent=True)
    try:
        assert wait_until(lambda: answers(port), seconds=60), f"stripe-mock does not answer:\n{log.read_text()}"
        yield port
    finally:
        stop(identity)


@contextmanager
def stripe_before(mock_port: int) -> Iterator[Stripe]:
    """Listen as Stripe does, before a stripe-mock."""
    stripe = Stripe()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(Backend(stripe, mock_port)))
    stripe.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stripe
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _handler(backend: Backend) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

        def _answer(self, body: str) -> None:
            answer = backend.answer(self.command, self.path, dict(self.headers.items()), body)
            if answer is None:
                self.close_connection = True  # Without a word: the client cannot know what became of its request.
                return
            content = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def _error(status: int, **fields: str) -> _Answer:
    return status, {"error": {"message": "refused", **fields}}
