"""`/v1/payments`: pay, read a payment, and have it refunded."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal, cast
from uuid import UUID

import falcon
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from api.answers import send
from api.bodies import Body, parse, read_body
from api.descriptions import describes
from api.fields import Amount, Currency, Id, Note
from api.guards import owner_scope, signed_in
from api.paths import id_of, job_url
from api.requests import idempotent
from moneyflow.money.amounts import write_amount
from moneyflow.payments import payments
from moneyflow.payments.payments import Payment, PaymentOrder, Requested
from moneyflow.payments.sources import LONGEST_SOURCE, SOURCE_FORM, token
from moneyflow.platform.database import Database
from moneyflow.platform.errors import ConflictError, InvalidInputError, NotFoundError
from moneyflow.platform.http.answers import Answer, json_answer
from moneyflow.platform.http.idempotency import IdempotencyKeys

#: Characters of a description, which is the note of the transaction.
LONGEST_DESCRIPTION = 500


class NewPayment(Body):
    """The body of a payment. `source` is the token that the provider's form gave for a card, never a card's number."""

    amount: Amount
    currency: Currency
    description: Annotated[Note, Field(max_length=LONGEST_DESCRIPTION, examples=["Two tickets"])] = ""
    category_id: Id | None = None
    source: Annotated[
        str,
        Field(min_length=5, max_length=LONGEST_SOURCE, examples=["tok_ok"], json_schema_extra={"pattern": SOURCE_FORM}),
        AfterValidator(token),
    ]


class AcceptedPayment(TypedDict):
    """A payment, and the job that acts on it."""

    id: UUID
    job_id: UUID


class PaymentView(TypedDict):
    """A payment of the caller; `transaction_id` is there once it has succeeded, `decline_code` once it was declined."""

    id: UUID
    state: Literal["pending", "succeeded", "declined", "refunded"]
    amount: Annotated[str, Field(examples=["12.34"])]
    currency: Annotated[str, Field(examples=["EUR"])]
    description: str
    category_id: UUID | None
    decline_code: str | None
    transaction_id: UUID | None
    refund_transaction_id: UUID | None
    job_id: UUID
    created_at: datetime
    updated_at: datetime


class Payments:
    """The caller's payments."""

    def __init__(self, database: Database, keys: IdempotencyKeys) -> None:
        self._database = database
        self._keys = keys

    @signed_in
    @describes("pay", body=NewPayment, answers={202: AcceptedPayment}, idempotent=True)
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Pay: 202 with the payment, which its job charges once."""
        content = read_body(request)
        body = parse(content, NewPayment)
        order = PaymentOrder(
            amount=body.amount,
            currency=body.currency,
            description=body.description,
            category_id=body.category_id,
            source=body.source,
        )
        once = idempotent(request, self._keys, content)
        with self._database.transaction() as session:
            answer = once.first_answer(session)
            if answer is None:
                answer = once.keep(session, _accepted(payments.request(owner_scope(request, session), order)))
        send(request, response, answer)


class OwnPayment:
    """A payment of the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @signed_in
    @describes("read_payment", answers={200: PaymentView}, errors=(NotFoundError,))
    def on_get(self, request: falcon.Request, response: falcon.Response, payment_id: str) -> None:
        """Return the payment."""
        parsed = _id(payment_id)
        with self._database.autocommit() as session:
            payment = payments.read(owner_scope(request, session), parsed)
        send(request, response, json_answer(_shown(payment)))


class PaymentRefund:
    """The refund of a payment of the caller."""

    def __init__(self, database: Database, keys: IdempotencyKeys) -> None:
        self._database = database
        self._keys = keys

    @signed_in
    @describes(
        "refund_payment",
        answers={202: AcceptedPayment},
        idempotent=True,
        errors=(NotFoundError, ConflictError, InvalidInputError),
    )
    def on_post(self, request: falcon.Request, response: falcon.Response, payment_id: str) -> None:
        """Have the whole payment refunded: 202 with the job that does it once; 409 unless the payment has succeeded."""
        parsed = _id(payment_id)
        once = idempotent(request, self._keys, parsed.bytes)
        with self._database.transaction() as session:
            answer = once.first_answer(session)
            if answer is None:
                requested = payments.request_refund(owner_scope(request, session), parsed)
                answer = once.keep(session, _accepted(requested))
        send(request, response, answer)


def _id(text: str) -> UUID:
    return id_of("payment", text, found="the `id` in the answer to POST /v1/payments")


def _accepted(requested: Requested) -> Answer:
    shown: AcceptedPayment = {"id": requested.id, "job_id": requested.job_id}
    return json_answer(shown, status=HTTPStatus.ACCEPTED, headers={"Location": job_url(requested.job_id)})


def _shown(payment: Payment) -> PaymentView:
    return {
        "id": payment.id,
        "state": cast("Literal['pending', 'succeeded', 'declined', 'refunded']", payment.state),
        "amount": write_amount(payment.amount),
        "currency": payment.currency,
        "description": payment.description,
        "category_id": payment.category_id,
        "decline_code": payment.decline_code,
        "transaction_id": payment.transaction_id,
        "refund_transaction_id": payment.refund_transaction_id,
        "job_id": payment.job_id,
        "created_at": payment.created_at,
        "updated_at": payment.updated_at,
    }
