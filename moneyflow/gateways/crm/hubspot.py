"""HubSpot: contacts by its CRM API, version 3, found by the property `money_flow_id`, which holds our id.

https://developers.hubspot.com/docs/api-reference/crm-contacts-v3. The properties `money_flow_…` are made once, see
`ops/runbooks/crm.md`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import orjson

from moneyflow.gateways.crm import Answer, BatchRefusedError, Contact, Crm, CrmDownError, Removal, moment_text
from moneyflow.gateways.crm.http import ANSWER_SECONDS, CrmHttp
from moneyflow.gateways.crm.hubspot_errors import check_set_up, limited_seconds, refusal_of, refusals_of
from moneyflow.platform.ids import parse_id

#: The property that holds our id; it is unique.
ID_PROPERTY = "money_flow_id"
#: Our fields as properties: HubSpot's own for address and first name, and ours.
PROPERTIES = {
    "email": "email",
    "name": "firstname",
    "created_at": "money_flow_created_at",
    "activated_at": "money_flow_activated_at",
    "last_sign_in_at": "money_flow_last_sign_in_at",
}
_CONTACTS = "/crm/v3/objects/contacts"
#: The most that HubSpot takes and returns at once.
_BATCH = 100


class HubSpot(Crm):
    """A `Crm` on HubSpot's API."""

    name = "hubspot"
    batch_limit = _BATCH
    #: HubSpot takes 100 of a private app in ten seconds; a tenth is left to people who look.
    requests_per_second = 9.0
    retry_seconds: Sequence[float] = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
    is_readable = True

    def __init__(self, *, url: str, token: str, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.url = url
        self._http = CrmHttp(
            adapter=self.name,
            url=url,
            headers={"Authorization": f"Bearer {token}"},
            limited_seconds=limited_seconds,
            answer_seconds=answer_seconds,
        )

    def upsert(self, contacts: Sequence[Contact]) -> Answer:
        """Upsert by our id. A 207 says by the trace id, which is our id again, whom it refuses."""
        asked = {str(one.id): one.id for one in contacts}
        answer = self._ask("upsert", "batch/upsert", {"inputs": [_input(one) for one in contacts]})
        if answer.status_code != httpx.codes.MULTI_STATUS:
            return Answer(accepted=frozenset(asked.values()))
        with self._expecting_its_own():
            found = answer.json()
            refused = refusals_of(found, asked)
            accepted = frozenset(asked[text] for text in map(_traced, found.get("results", ())) if text in asked)
        return Answer(accepted=accepted - refused.keys(), refused=refused)

    def remove(self, removals: Sequence[Removal]) -> Answer:
        """Archive by HubSpot's own ids, which are looked up by ours."""
        ids = [one.id for one in removals]
        with self._expecting_its_own():
            there = [{"id": row["id"]} for row in self._read("remove", ids)]
        if there:
            self._ask("remove", "batch/archive", {"inputs": there})
        return Answer(accepted=frozenset(ids))

    def find(self, ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, str | None]]:
        """Read by our ids."""
        rows = self._read("read", ids)
        with self._expecting_its_own():
            return {UUID(row["properties"][ID_PROPERTY]): _fields(row["properties"]) for row in rows}

    def ids(self) -> Iterator[Sequence[UUID]]:
        """List all contacts; those that others have made have no id of ours, and are left out."""
        params = {"limit": str(_BATCH), "properties": ID_PROPERTY}
        while True:
            answer = self._http.ask("read", "GET", _CONTACTS, params=params)
            with self._expecting_its_own():
                page = answer.json()
                texts = [row["properties"].get(ID_PROPERTY) or "" for row in page["results"]]
                after = ((page.get("paging") or {}).get("next") or {}).get("after")
            yield [id_ for id_ in map(parse_id, texts) if id_]
            if not after:
                return
            params = {**params, "after": after}

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _read(self, act: str, ids: Sequence[UUID]) -> Sequence[Mapping[str, Any]]:
        """Return those that are there; a 207 names the others as errors."""
        body = {
            "idProperty": ID_PROPERTY,
            "inputs": [{"id": str(id_)} for id_ in ids],
            "properties": [ID_PROPERTY, *PROPERTIES.values()],
            "propertiesWithHistory": [],
        }
        with self._expecting_its_own():
            rows: Sequence[Mapping[str, Any]] = self._ask(act, "batch/read", body).json()["results"]
        return rows

    def _ask(self, act: str, path: str, body: Mapping[str, Any]) -> httpx.Response:
        answer = self._http.ask(act, "POST", f"{_CONTACTS}/{path}", content=orjson.dumps(body))
        if not answer.is_success:
            check_set_up(answer, url=self.url)
            raise BatchRefusedError(refusal_of(answer))
        return answer

    @contextmanager
    def _expecting_its_own(self) -> Iterator[None]:
        """Take an answer of another shape as an outage, such as the page of a proxy."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            detail = f"what answers at {self.url} is not HubSpot ({type(error).__name__}); correct CRM_URL"
            raise CrmDownError(detail, may_have_acted=True) from None


def _input(contact: Contact) -> dict[str, Any]:
    properties = {PROPERTIES[name]: value or "" for name, value in contact.fields().items()}
    return {
        "idProperty": ID_PROPERTY,
        "id": str(contact.id),
        "objectWriteTraceId": str(contact.id),
        "properties": {ID_PROPERTY: str(contact.id), **properties},
    }


def _traced(row: Mapping[str, Any]) -> str:
    """Return our id of a contact that was written."""
    return str(row.get("objectWriteTraceId") or (row.get("properties") or {}).get(ID_PROPERTY))


def _fields(properties: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name: _value(name, properties.get(ours) or None) for name, ours in PROPERTIES.items()}


def _value(name: str, text: str | None) -> str | None:
    """Return a value as `Contact.fields` writes it: HubSpot may leave out the zeros at the end of a time."""
    if text and name.endswith("_at"):
        with suppress(ValueError):
            return moment_text(datetime.fromisoformat(text).astimezone(UTC))
    return text
