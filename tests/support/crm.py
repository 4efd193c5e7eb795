"""The CRM double in the test's own process, and clients of it."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.gateways.crm.hubspot import ID_PROPERTY, PROPERTIES, HubSpot
from moneyflow.gateways.crm.webhook import WebhookCrm
from moneyflow.platform.database import Session
from ops.dev.crm_double.server import Double, serve
from ops.dev.crm_double.store import Store
from tests.support.processes import free_port

TOKEN = "the-token-of-a-private-app"
SECRET, OLD_SECRET = (f"whsec_{base64.b64encode(byte * 32).decode()}" for byte in (b"n", b"o"))
#: Seconds after which the clients of tests give up on an answer.
ANSWER_SECONDS = 0.5


@dataclass(frozen=True)
class RunningCrm:
    """A double that serves."""

    double: Double
    url: str
    clients: list[HubSpot | WebhookCrm] = field(default_factory=list)

    def set_faults(self, *faults: dict[str, Any]) -> None:
        self.double.faults.set(faults)

    def contacts(self) -> dict[UUID, dict[str, str]]:
        """Return the contacts by our ids, with our names of the fields; fails when two have one id."""
        rows = self.double.store.everything()
        found = {UUID(row.external_id): row.properties for row in rows if row.external_id}
        assert len(found) == len(rows), "no contact is there twice"
        ours = {theirs: name for name, theirs in PROPERTIES.items()}
        return {
            id_: {ours[name]: value for name, value in properties.items() if name != ID_PROPERTY}
            for id_, properties in found.items()
        }

    def hubspot(self) -> HubSpot:
        made = HubSpot(url=self.url, token=TOKEN, answer_seconds=ANSWER_SECONDS)
        self.clients.append(made)
        return made

    def webhook(self, *, secrets: Sequence[str] = (SECRET,)) -> WebhookCrm:
        made = WebhookCrm(url=self.url, secrets=secrets, answer_seconds=ANSWER_SECONDS)
        self.clients.append(made)
        return made


@contextmanager
def running_crm(file: Path | str, *, secrets: Sequence[str] = (SECRET,)) -> Iterator[RunningCrm]:
    """Serve a double whose contacts are in a file, with more requests in ten seconds than a test makes."""
    double = Double(store=Store(file), token=TOKEN, secrets=secrets, requests_in_ten_seconds=100_000)
    port = free_port()
    server = serve(double, host="127.0.0.1", port=port)
    running = RunningCrm(double, f"http://127.0.0.1:{port}")
    yield running
    for client in running.clients:
        client.close()
    double.stopping.set()
    server.shutdown()
    server.server_close()
    double.store.close()


def source(session: Session) -> dict[UUID, dict[str, str]]:
    """Return the people as the CRM should have them, read from the tables by no code of the product."""
    rows = session.fetch_all("""
        select id, lower(email) as email, name,
            to_char(users.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MSZ') as created_at,
            coalesce(to_char(activated_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MSZ'), '') as activated_at,
            coalesce(to_char(last_sign_in_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MSZ'), '') as last_sign_in_at
        from users left join crm.contacts on user_id = id
    """)
    return {row.pop("id"): row for row in rows}
