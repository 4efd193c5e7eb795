"""`/v1/webhooks/stripe`: what the payment provider reports, verified and made a job."""

from collections.abc import Sequence
from typing import Any, Literal

import falcon
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from api.answers import send
from api.bodies import read_body
from api.descriptions import describes
from api.guards import public
from moneyflow.gateways.payments import webhooks
from moneyflow.payments import reports
from moneyflow.platform.database import Database
from moneyflow.platform.errors import UnauthenticatedError
from moneyflow.platform.http.answers import json_answer

#: Bytes of the largest event; a charge has a few kilobytes.
_MAX_BYTES = 256 * 1024


class StripeEvent(BaseModel):
    """An event of Stripe, of which these members are read."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: str
    data: dict[str, Any]


class Received(TypedDict):
    """The event is written down."""

    received: Literal[True]


class StripeWebhook:
    """The endpoint of Stripe's webhooks."""

    def __init__(self, database: Database, secrets: Sequence[str]) -> None:
        self._database = database
        self._secrets = secrets

    @public
    @describes("receive_stripe_event", body=StripeEvent, answers={200: Received}, errors=(UnauthenticatedError,))
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Take an event of Stripe, signed in the header `Stripe-Signature`.

        The answer comes before anything is done about it; an event that comes again does nothing.
        """
        content = read_body(request, _MAX_BYTES)
        webhooks.verify(content, request.get_header("Stripe-Signature"), self._secrets)
        event = webhooks.read_event(content)
        if event is not None:
            with self._database.transaction() as session:
                reports.take(session, event)
        received: Received = {"received": True}
        send(request, response, json_answer(received))
