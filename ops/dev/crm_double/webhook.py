"""The double's receiver of webhooks: it verifies signatures by the library of Standard Webhooks."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from moneyflow.gateways.crm.hubspot import ID_PROPERTY, PROPERTIES
from ops.dev.crm_double.hubspot import Reply
from ops.dev.crm_double.store import Store


class WebhookReceiver:
    """Takes `contacts.upserted` and `contacts.deleted`; of each contact it keeps the highest version."""

    def __init__(self, store: Store, *, secrets: Sequence[str]) -> None:
        self._store = store
        self._verifiers = [Webhook(secret) for secret in secrets]

    def check(self, content: bytes, headers: Mapping[str, str]) -> Reply | None:
        """Return the refusal of a body that none of the secrets has signed, and lately."""
        for verifier in self._verifiers:
            try:
                verifier.verify(content, dict(headers))
            except (WebhookVerificationError, ValueError):
                continue
            return None
        return Reply(status=401, body={"error": "the signature is not valid"})

    def ids_of(self, body: Mapping[str, Any]) -> list[str]:
        """Return the ids of the people that a message is about."""
        return [str(one["id"]) for one in body["data"]["contacts"]]

    def answer(self, body: Mapping[str, Any]) -> Reply:
        """Keep the contacts of a message, all or none."""
        with self._store.transaction():
            for one in body["data"]["contacts"]:
                if body["type"] == "contacts.deleted":
                    self._store.delete(one["id"], version=one["version"])
                elif one["version"] > self._store.forgotten_version(one["id"]):
                    values = {ours: one[name] or "" for name, ours in PROPERTIES.items()}
                    self._store.put(one["id"], {ID_PROPERTY: one["id"], **values}, version=one["version"])
        return Reply(status=204)


def read(content: bytes) -> Mapping[str, Any]:
    """Return a body as JSON; an empty one for a request without."""
    found: Mapping[str, Any] = json.loads(content or b"{}")
    return found
