"""A CRM that takes webhooks: batches of contacts, signed as Standard Webhooks has it.

https://www.standardwebhooks.com: `webhook-id` is the same for the same content, `webhook-timestamp` is the time of the
attempt, and `webhook-signature` has a signature by each secret, so that the receiver may know the old or the new one.
A receiver keeps the highest `version` of each contact, and ignores a lower one. It answers 2xx when it has taken all,
and 400, 409, 413 or 422 when it takes none because of someone in it: the batch is sent again in halves.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from standardwebhooks.webhooks import Webhook

from moneyflow.gateways.crm import Answer, BatchRefusedError, Contact, Crm, Refusal, Removal
from moneyflow.gateways.crm.http import ANSWER_SECONDS, CrmHttp
from moneyflow.platform import clock
from moneyflow.platform.errors import InvalidInputError

#: Hex digits of a message's id: half of a SHA-256.
_ID_DIGITS = 32


class WebhookCrm(Crm):
    """A `Crm` at one address that takes `contacts.upserted` and `contacts.deleted`."""

    name = "webhook"
    batch_limit = 100
    requests_per_second = 20.0
    #: The schedule that Standard Webhooks recommends: 5 seconds, 5 and 30 minutes, 2, 5, 10, 14, 20 and 24 hours.
    retry_seconds: Sequence[float] = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
    is_readable = False

    def __init__(self, *, url: str, secrets: Sequence[str], answer_seconds: float = ANSWER_SECONDS) -> None:
        self.url = url
        self._signers = [Webhook(secret) for secret in secrets]
        self._http = CrmHttp(adapter=self.name, url=url, headers={}, answer_seconds=answer_seconds)

    def upsert(self, contacts: Sequence[Contact]) -> Answer:
        """Send the contacts with all their values."""
        rows = [{"id": str(one.id), "version": one.version, **one.fields()} for one in contacts]
        return self._send("upsert", "contacts.upserted", rows, [one.id for one in contacts])

    def remove(self, removals: Sequence[Removal]) -> Answer:
        """Send the ids alone."""
        rows = [{"id": str(one.id), "version": one.version} for one in removals]
        return self._send("remove", "contacts.deleted", rows, [one.id for one in removals])

    def find(self, ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, str | None]]:
        """Refuse: webhooks go one way."""
        raise InvalidInputError(f"the receiver of webhooks at {self.url} cannot be read ({len(ids)} asked for)")

    def ids(self) -> Iterator[Sequence[UUID]]:
        """Refuse, as `find` does."""
        raise InvalidInputError(f"the receiver of webhooks at {self.url} cannot be read")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, act: str, kind: str, rows: Sequence[Mapping[str, Any]], ids: Sequence[UUID]) -> Answer:
        body = orjson.dumps({"type": kind, "data": {"contacts": rows}})
        answer = self._http.ask(act, "POST", content=body, headers=self._signed(body))
        if not answer.is_success:
            raise BatchRefusedError(Refusal(code=f"http_{answer.status_code}"))
        return Answer(accepted=frozenset(ids))

    def _signed(self, body: bytes) -> dict[str, str]:
        """Return the headers that sign a body, by each of the secrets."""
        message_id, now = f"msg_{hashlib.sha256(body).hexdigest()[:_ID_DIGITS]}", clock.now()
        signatures = [signer.sign(message_id, now, body.decode()) for signer in self._signers]
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
