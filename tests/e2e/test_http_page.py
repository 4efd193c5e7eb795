"""`api/README.md`: every command of the page works against the real API, and no route is without one."""

import os
import re
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from moneyflow.events.topics import AUTH_EVENTS, CATEGORY_EVENTS, TRANSACTION_EVENTS, USER_EVENTS
from moneyflow.gateways.storage.storages import storage_of
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.callers import administrator
from tests.support.kafka_records import everything_in
from tests.support.processes import Process, Processes
from tests.support.stored import store_ids
from tests.support.waiting import eventually

_PAGE = (Path(__file__).parents[2] / "api" / "README.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"^```sh\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
_REQUEST = re.compile(
    r'^moneyflow_http_requests_total\{method="(\w+)",route="([^"]+)",status="[23]\d\d"\}', re.MULTILINE
)
_WEBHOOK_SECRET = "whsec_a_secret_of_the_tests"
_TYPES = {
    USER_EVENTS: {"user.created", "user.activated", "user.updated", "user.password_changed", "user.deleted"},
    AUTH_EVENTS: {"auth.sign_in", "auth.sign_in_failed", "auth.sign_out", "auth.password_reset"},
    CATEGORY_EVENTS: {"category.created", "category.updated", "category.deleted"},
    TRANSACTION_EVENTS: {"transaction.created", "transaction.updated", "transaction.deleted"},
}
#: What the page writes into names, notes and tags, and who is said to do it.
_FREE_TEXT = ("Ada", "Bob", "mail.example", "Groceries", "Bakery", "loaves", "weekend")


@dataclass(frozen=True)
class Run:
    """The page as a shell has run it."""

    api: Process
    shell: subprocess.CompletedProcess[str]


@pytest.fixture
def run(
    settings: AllSettings, topics: AllSettings, queues: AllSettings, database: Database, processes: Processes
) -> Run:
    """Run every block of the page, one after the other in one shell, as a reader pastes them."""
    assert topics is queues
    processes.worker()
    processes.relay()
    api = processes.api(STRIPE_WEBHOOK_SECRET=_WEBHOOK_SECRET)
    environment = {
        "PATH": os.environ["PATH"],
        "API": f"http://127.0.0.1:{api.port}",
        "MAILS": settings.mail_catcher_url,
        **store_ids(database, storage_of(settings)),
        "STRIPE_WEBHOOK_SECRET": _WEBHOOK_SECRET,
        "ADMIN_TOKEN": administrator(settings)["Authorization"].partition(" ")[2],
    }
    shell = subprocess.run(
        ["bash", "-euo", "pipefail"], input="\n".join(_BLOCKS), env=environment, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    return Run(api, shell)


def test_every_command_of_the_page_works_and_its_events_fit_the_schemas_that_the_api_serves(
    run: Run, settings: AllSettings
) -> None:
    assert run.shell.returncode == 0, run.shell.stdout + run.shell.stderr

    document = run.api.get("/openapi.json").json()
    routes = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    answered = set(_REQUEST.findall(run.api.get("/metrics").text))
    assert routes - answered == set(), "add a command to api/README.md"

    for topic, types in _TYPES.items():
        events = eventually(partial(_events, settings, topic, types), what=f"{types}")
        for event in events:
            assert not any(text in str(event) for text in _FREE_TEXT), event
            schema = run.api.get(event["dataschema"])
            assert schema.status_code == 200, event["dataschema"]
            Draft202012Validator(schema.json(), format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
                event["data"]
            )


def _events(settings: AllSettings, topic: str, types: set[str]) -> list[dict[str, Any]] | None:
    """Return the events of a topic once all of these types are there."""
    events = [orjson.loads(record.value) for record in everything_in(settings, topic)]
    return events if {event["type"] for event in events} >= types else None
