"""Free text of books (names of categories, notes, tags) is in the rows of its owner, and nowhere else."""

import secrets
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import kafka_records, people
from tests.support.callers import bearer
from tests.support.places import Places, tap_queues
from tests.support.processes import Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually

_TYPES = {f"{noun}.{verb}" for noun in ("transaction", "category") for verb in ("created", "updated", "deleted")}


@dataclass
class Writer:
    """A user who writes canaries, each unlike any other text."""

    client: httpx.Client
    canaries: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Plant a text."""
        return self.canaries.setdefault(f"{name} {len(self.canaries)}", f"canary {secrets.token_hex(12)}")

    def send(self, method: str, path: str, status: int, body: Any = None, **headers: str) -> Any:
        """Send a request that is answered with this status, for whatever state there is, and return its JSON."""
        named = {"If-Match": "*", **{name.replace("_", "-"): value for name, value in headers.items()}}
        answer = self.client.request(method, path, json=body, headers=named)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


def _keep_a_book(writer: Writer) -> None:
    """Do everything that takes free text, with the mistakes that are made of it."""
    text = writer.text
    category = {"kind": "expense", "name": text("name"), "color": None}
    food = writer.send("POST", "/v1/categories", 201, category, Idempotency_Key=str(uuid.uuid4()))["id"]
    writer.send("POST", "/v1/categories", 422, {**category, "name": text("too long") * 10})
    writer.send("POST", "/v1/categories", 422, {**category, "name": text("no parent"), "parent_id": str(uuid.uuid4())})
    writer.send("PATCH", f"/v1/categories/{food}", 200, {"name": text("changed name")})
    writer.send("PATCH", f"/v1/categories/{food}", 422, {"name": text("wrong colour"), "color": "red"})

    bread = {"kind": "expense", "amount": "1.5", "currency": "EUR", "date": "2026-03-01", "category_id": food}
    noted = {**bread, "note": text("note"), "tags": [text("tag")]}
    key = str(uuid.uuid4())
    path = "/v1/transactions/" + writer.send("POST", "/v1/transactions", 201, noted, Idempotency_Key=key)["id"]
    writer.send("POST", "/v1/transactions", 201, noted, Idempotency_Key=key)
    writer.send("POST", "/v1/transactions", 422, {**noted, "note": text("used key")}, Idempotency_Key=key)
    writer.send(
        "POST", "/v1/transactions", 422, {**noted, "note": text("no category"), "category_id": str(uuid.uuid4())}
    )
    writer.send("POST", "/v1/transactions", 422, {**noted, "note": text("too long") * 100})
    writer.send("POST", "/v1/transactions", 422, {**noted, "tags": [text("too long") * 10, text("fits")]})
    writer.send("POST", "/v1/transactions", 422, {**noted, "currency": text("as a currency")})
    writer.send("PATCH", path, 200, {"note": text("changed note"), "tags": [text("changed tag")]})
    writer.send("PATCH", path, 412, {"note": text("old state")}, If_Match='"1"')
    many = [{**bread, "note": text("bulk"), "tags": [text("bulk")]}] * 3
    writer.send("POST", "/v1/transactions/bulk", 200, {"create": many}, Idempotency_Key=str(uuid.uuid4()))
    writer.send("POST", "/v1/transactions/bulk", 422, {"create": many, "delete": [str(uuid.uuid4())]})
    writer.send("DELETE", path, 204)
    writer.send("DELETE", f"/v1/categories/{food}", 204)


@pytest.mark.timeout(120)
def test_free_text_of_a_book_is_in_no_event_log_queue_or_metric(
    servers: RealServers, platform: AllSettings, database: Database, processes: Processes, tmp_path: Path
) -> None:
    tap_queues(servers, platform)
    api = processes.api()
    processes.relay()
    processes.worker()
    processes.consumer("audit")
    person = people.sign_up(database, name="Ada")

    headers = bearer(platform, user_id=person.user_id)
    with httpx.Client(base_url=f"http://127.0.0.1:{api.port}", headers=headers, timeout=30) as client:
        writer = Writer(client)
        _keep_a_book(writer)
    eventually(lambda: _published(platform) >= _TYPES, what="all events are published")

    places = Places(servers, platform, processes.all(), [tmp_path])
    found = places.find(writer.canaries)
    assert len(writer.canaries) > 15
    assert {place.rpartition(" in ")[2] for place in found} == {"database"}, "the rows of their owner"
    assert (
        places.find({"of a refused request": next(text for name, text in writer.canaries.items() if "old" in name)})
        == []
    )


def _published(settings: AllSettings) -> set[str]:
    """Return the types of the events of money in Kafka."""
    topics = ("transaction.events", "category.events")
    values = [record.value or b"" for topic in topics for record in kafka_records.everything_in(settings, topic)]
    return {kind for kind in _TYPES if any(f'"type":"{kind}"'.encode() in value for value in values)}
