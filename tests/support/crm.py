"""The CRM double in the test's own process, and clients of it."""

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

from moneyflow.gateways.crm.hubspot import ID_PROPERTY, PROPERTIES, HubSpot
from moneyflow.gateways.crm.webhook import WebhookCrm
from ops.dev.crm_double.faults import KINDS
from ops.dev.crm_double.server import Double, serve
from ops.dev.crm_double.store import Store
from tests.support.processes import free_port

TOKEN = "the-token-of-a-private-app"
SECRET, OLD_SECRET = (f"whsec_{base64.b64encode(byte * 32).decode()}" for byte in (b"n", b"o"))
#: Seconds after which the clients of tests give up on an answer.
ANSWER_SECONDS = 0.5
#: Each fault once, one request after the other, and then each by a share of all requests.
ALL_FAULTS: list[dict[str, Any]] = [
    *({"kind": kind, "seconds": 1} for kind in KINDS),
    *({"kind": kind, "times": None, "share": 0.04, "seconds": 1} for kind in KINDS),
]
#: For a database in which a fault of the CRM has refused people: an operator has them sent again.
RESYNC_REFUSED: LiteralString = (
    "update crm.contacts set set_aside_at = null, must_send = true, due_at = now() where set_aside_at is not null"
)


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

    def settings(self, adapter: str = "hubspot") -> dict[str, str]:
        """Return the settings of a consumer that sends to it."""
        return {
            "CRM_ADAPTER": adapter, "CRM_URL": self.url, "CRM_TOKEN": TOKEN, "CRM_WEBHOOK_SECRET": SECRET,
        }  # fmt: skip

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


def differences(running: RunningCrm, fetch_all: Callable[[LiteralString], Sequence[Any]]) -> list[str]:
    """Return where the CRM differs from the tables, which are read by no code of the product, and who waits."""
    rows = fetch_all("""
        select id, lower(email) as email, name,
            to_char(users.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MSZ') as created_at,
            coalesce(to_char(activated_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MSZ'), '') as activated_at,
            coalesce(to_char(last_sign_in_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MSZ'), '') as last_sign_in_at
        from users left join crm.contacts on user_id = id
    """)
    ours = {row["id"]: {name: value for name, value in row.items() if name != "id"} for row in rows}
    theirs = {id_: {**values, "email": values["email"].lower()} for id_, values in running.contacts().items()}
    wrong = [id_ for id_ in ours.keys() | theirs.keys() if ours.get(id_) != theirs.get(id_)]
    waiting = fetch_all("select user_id from crm.contacts where due_at is not null")
    return [
        *(f"person {id_}: here {ours.get(id_)}, in the CRM {theirs.get(id_)}" for id_ in wrong),
        *(f"person {row['user_id']} waits" for row in waiting),
    ]
