"""`python -m ops.dev.stack.compose.check`: run the compose file in a project of its own, and check that it works."""

import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
from rich.console import Console

from ops.dev.stack.compose.engine import containers, engine_answers
from ops.dev.stack.compose.stack import ComposeStack
from ops.dev.stack.contract import StackError
from ops.dev.stack.https import client_options

_SECONDS = 60.0
#: Writes a public file as the process does in whose container it runs, and prints its path.
_WRITE_FILE = """
from moneyflow.gateways.storage import files, new_key
from moneyflow.gateways.storage.settings import StorageSettings
from moneyflow.gateways.storage.storages import storage_of
from moneyflow.settings import load
print(files.public_url(storage_of(load(StorageSettings)).write(new_key("public"), [b"a file"]).key))
"""


class Check:
    """The steps of the check, each printed when it is done; the first that fails ends it."""

    def __init__(self, stack: ComposeStack, console: Console) -> None:
        self._stack = stack
        self._console = console
        self._asked = 0

    def run(self) -> None:
        """Start the stack, and sign people up after a kill of each kind of process and after a restart.

        Raises:
            StackError: a step did not succeed in time.
        """
        self._stack.up()
        self._sign_ups("as started")
        self._files()
        for kind in ("worker", "relay", "consumer", "api"):
            name = self._stack.kill(kind)
            self._until(partial(self._is_back, name), f"{name} is back after a kill")
            self._sign_ups(f"after the kill of {name}")
        self._roll()
        self._refuse_to_roll()
        self._stack.down()
        self._stack.up()
        self._asked = 0  # The mail catcher keeps its mails in memory.
        self._sign_ups("after down and up")

    def _sign_ups(self, when: str) -> None:
        found = self._stack.environment()
        self._until(lambda: self._api().get("/healthz").is_success, "the API answers by https")
        for _ in range(10):
            _sign_up(self._api())
        self._asked += 10
        messages = f"{found['MAIL_CATCHER_URL']}/api/v1/messages"
        self._until(lambda: _get(messages).json()["total"] >= self._asked, f"ten sign-ups, ten mails: {when}")

    def _files(self) -> None:
        """Write a public file in each process that writes files: nginx, as another container, sends it."""
        for service in ("api", "worker"):
            path = self._stack.run_in(service, "python", "-c", _WRITE_FILE).strip()
            self._until(partial(self._is_served_by_nginx, path), f"nginx sends a file that {service} has written")

    def _is_served_by_nginx(self, path: str) -> bool:
        with self._api() as client:
            answer = client.get(path)
        # The API's own answers have the id of their request.
        return answer.content == b"a file" and "X-Request-Id" not in answer.headers

    def _roll(self) -> None:
        """Replace the API's containers while a client signs people up: no request fails, and every one has its mail."""
        ended = threading.Event()

        def sign_up_until_ended() -> int:
            count = 0
            while not ended.is_set():
                _sign_up(self._api())
                count += 1
            return count

        with ThreadPoolExecutor() as pool:
            clients = [pool.submit(sign_up_until_ended) for _ in range(2)]
            try:
                self._stack.roll_api()
            finally:
                ended.set()
            try:
                self._asked += sum(client.result() for client in clients)
            except httpx.HTTPError as error:
                log = self._stack.last_lines_of("nginx", "api")
                raise StackError(f"a request failed while the API was replaced: {error!r}\n{log}") from error
        self._sign_ups("after the API was replaced under load")

    def _api(self) -> httpx.Client:
        """Return a client that comes as everyone does, by https through nginx."""
        return httpx.Client(**client_options(self._stack.environment()), timeout=30)

    def _refuse_to_roll(self) -> None:
        """Try to replace the API by one that cannot start: the old one continues, and the new one is removed."""
        before = self._api_containers()
        try:
            self._stack.roll_api(API_THREADS="0")
        except StackError:
            pass
        else:
            raise StackError("the API was replaced by one that cannot start")
        if self._api_containers() != before:
            raise StackError("a failed replacement has left containers, or has removed the old ones")
        self._sign_ups("after a replacement that failed")

    def _api_containers(self) -> set[str]:
        return {found.id for found in containers(self._stack.project) if found.service == "api"}

    def _is_back(self, name: str | None) -> bool:
        found = [found for found in containers(self._stack.project) if found.name == f"{self._stack.project}-{name}"]
        return any(container.restarts and container.is_ready for container in found)

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                if condition():
                    break
            except httpx.HTTPError as error:
                self._console.print(f"[dim]{type(error).__name__}[/]")
            if time.monotonic() > deadline:
                raise StackError(f"this did not happen within {_SECONDS:.0f} seconds: {what}")
            time.sleep(0.5)
        self._console.print(f"[green]✓[/] {what}")


def _sign_up(api: httpx.Client) -> None:
    email = f"{uuid.uuid4().hex}@example.org"
    person = {"email": email, "password": "a long enough password", "name": "A. Person"}
    with api:
        api.post("/v1/users", json=person).raise_for_status()


def _get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=5, trust_env=False)


def main() -> int:
    """Run the check and delete its project; return 0 when every step succeeded."""
    console = Console(stderr=True)
    if not engine_answers():
        console.print("no Docker engine answers, or Compose 2 is missing")
        return 2
    home = Path(tempfile.mkdtemp(prefix="money-flow-check-", dir="/var/tmp"))
    stack = ComposeStack(console, home=home)
    try:
        Check(stack, console).run()
    except StackError as error:
        console.print(f"✗ {error}", markup=False, highlight=False)
        return 1
    finally:
        stack.reset()
    return 0


if __name__ == "__main__":
    sys.exit(main())
