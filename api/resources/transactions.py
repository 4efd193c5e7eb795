"""`/v1/transactions`: what the caller got and spent."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any, cast
from uuid import UUID

import falcon
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from api.answers import send
from api.bodies import Body, parse, read_body
from api.descriptions import describes
from api.fields import Amount, Currency, Day, Id, Kind, Note, Tag, Tags
from api.guards import caller_of, owner_scope, signed_in
from api.paths import id_of
from api.queries import PAGE, AmountBound, query_model, query_of
from api.requests import change_matched, idempotent, page_of
from moneyflow.money import transaction_pages, transactions
from moneyflow.money.amounts import write_amount
from moneyflow.money.texts import one_line
from moneyflow.money.transaction_filters import LONGEST_TEXT, Filters
from moneyflow.money.transactions import Transaction
from moneyflow.platform.database import Database
from moneyflow.platform.errors import ConflictError, InvalidInputError, NotFoundError
from moneyflow.platform.http.answers import Answer, json_answer
from moneyflow.platform.http.etags import version_etag
from moneyflow.platform.http.idempotency import IdempotencyKeys

_DONE = Answer(status=HTTPStatus.NO_CONTENT)
_LOCATION = {"Location": "The address of the transaction."}


class NewTransaction(Body):
    """The body of a new transaction."""

    kind: Kind
    amount: Amount
    currency: Currency
    date: Day
    category_id: Id | None = None
    note: Note = ""
    tags: Tags = ()


class TransactionChange(Body):
    """The body of a change: members that are left out stay as they are."""

    # A default that is never read: which members there are is in `model_fields_set`.
    kind: Annotated[Kind, Field(default_factory=str)]
    amount: Annotated[Amount, Field(default_factory=str)]
    currency: Annotated[Currency, Field(default_factory=str)]
    date: Annotated[Day, Field(default_factory=str)]
    category_id: Annotated[Id | None, Field(default_factory=str)]
    note: Annotated[Note, Field(default_factory=str)]
    tags: Annotated[Tags, Field(default_factory=str)]


class TransactionView(TypedDict):
    """A transaction as its owner sees it."""

    id: UUID
    kind: Kind
    amount: Annotated[str, Field(examples=["12.34"])]
    currency: Annotated[str, Field(examples=["EUR"])]
    date: dt.date
    category_id: UUID | None
    note: str
    tags: list[str]
    payment_id: UUID | None
    import_id: UUID | None
    created_at: dt.datetime
    updated_at: dt.datetime


_SHOWN = tuple(TransactionView.__annotations__)


class TransactionPageView(TypedDict):
    """A page of transactions, the newest first; `next_cursor` is null on the last one."""

    items: list[TransactionView]
    next_cursor: str | None


TransactionQuery = TypedDict(
    "TransactionQuery",
    {
        "from": Annotated[Day, Field(description="The first day.")],
        "to": Annotated[Day, Field(description="The last day.")],
        "category": Annotated[Id, Field(description="A category; its subcategories are included.")],
        "kind": Kind,
        "min": Annotated[AmountBound, Field(description="The least amount, in any currency.")],
        "max": Annotated[AmountBound, Field(description="The greatest amount, in any currency.")],
        "tag": Annotated[Tag, Field(description="One of the tags, exactly.")],
        "q": Annotated[
            str,
            Field(min_length=1, max_length=LONGEST_TEXT, description="A part of the note, in upper or lower case."),
            AfterValidator(one_line),
        ],
    },
    total=False,
)
_QUERY = query_model(TransactionQuery)


class Transactions:
    """The caller's transactions."""

    def __init__(self, database: Database, keys: IdempotencyKeys) -> None:
        self._database = database
        self._keys = keys

    @signed_in
    @describes(
        "create_transaction",
        body=NewTransaction,
        answers={201: TransactionView},
        idempotent=True,
        etag=True,
        headers=_LOCATION,
        errors=(NotFoundError,),
    )
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Add a transaction: 201 with it."""
        content = read_body(request)
        made = made_of(parse(content, NewTransaction), caller_of(request).user_id)
        answer = transaction_answer(made, status=HTTPStatus.CREATED)
        once = idempotent(request, self._keys, content)
        with self._database.autocommit() as session:
            answer = transactions.create(session, made, once=once, answer=answer)
        send(request, response, answer)

    @signed_in
    @describes(
        "list_transactions",
        answers={200: TransactionPageView},
        parameters={**PAGE, **TransactionQuery.__annotations__},
        errors=(InvalidInputError,),
    )
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the transactions that fit all filters, by date, the newest first.

        A cursor is a place in the list, with any filters. A search by amount, tag or text that has to look at too many
        transactions is refused: 422 asks for a narrower range of days.
        """
        page, filters = page_of(request, transaction_pages.BY_DATE), _filters(query_of(request, _QUERY))
        with self._database.autocommit() as session:
            rows = transaction_pages.page_rows(owner_scope(request, session), filters, page)
        send(request, response, json_answer(page.of(rows, transaction_view)))


class OneTransaction:
    """A transaction of the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @signed_in
    @describes("read_transaction", answers={200: TransactionView}, etag=True)
    def on_get(self, request: falcon.Request, response: falcon.Response, transaction_id: str) -> None:
        """Return the transaction, with the `ETag` for a change."""
        parsed = _id_of(transaction_id)
        with self._database.autocommit() as session:
            found = transactions.find(owner_scope(request, session), parsed)
        send(request, response, transaction_answer(found))

    @signed_in
    @describes("change_transaction", body=TransactionChange, answers={200: TransactionView}, etag=True, if_match=True)
    def on_patch(self, request: falcon.Request, response: falcon.Response, transaction_id: str) -> None:
        """Change the transaction that `If-Match` names; return the new one.

        Of a transaction that a payment has made, kind, amount and currency stay.
        """
        parsed = _id_of(transaction_id)
        body = parse(read_body(request), TransactionChange)
        values = {name: getattr(body, name) for name in body.model_fields_set}
        with self._database.autocommit() as session:
            new = change_matched(
                request,
                read=lambda: transactions.find(owner_scope(request, session), parsed),
                etag_of=etag_of,
                change=lambda current: transactions.change(session, current, transactions.changed(current, values)),
            )
        send(request, response, transaction_answer(new))

    @signed_in
    @describes("delete_transaction", answers={204: None}, if_match=True, errors=(ConflictError,))
    def on_delete(self, request: falcon.Request, response: falcon.Response, transaction_id: str) -> None:
        """Delete the transaction that `If-Match` names: 204. That of a payment stays: 409."""
        parsed = _id_of(transaction_id)
        with self._database.autocommit() as session:
            change_matched(
                request,
                read=lambda: transactions.find(owner_scope(request, session), parsed),
                etag_of=etag_of,
                change=lambda current: transactions.delete(session, current),
            )
        send(request, response, _DONE)


def _filters(query: TransactionQuery) -> Filters:
    least, greatest = query.get("min"), query.get("max")
    return Filters(
        since=query.get("from"),
        until=query.get("to"),
        category_id=query.get("category"),
        kind=query.get("kind"),
        least=None if least is None else Decimal(least),
        greatest=None if greatest is None else Decimal(greatest),
        tag=query.get("tag"),
        text=query.get("q"),
    )


def made_of(body: NewTransaction, user_id: UUID) -> Transaction:
    """Return the transaction that a body asks for.

    Raises:
        InvalidInputError: the amount is none of its currency; `errors` names the member.
    """
    return transactions.make(
        user_id,
        kind=body.kind,
        amount=body.amount,
        currency=body.currency,
        date=body.date,
        category_id=body.category_id,
        note=body.note,
        tags=body.tags,
    )


def etag_of(shown: Transaction) -> str:
    """Return the tag of a transaction's current state."""
    return version_etag(shown.id, shown.version)


def transaction_view(fields: Mapping[str, Any]) -> TransactionView:
    """Return a transaction as its owner sees it, from its fields or its row. PERF: a page has up to a hundred."""
    shown = {name: fields[name] for name in _SHOWN}
    return cast("TransactionView", {**shown, "amount": write_amount(fields["amount"])})


def transaction_answer(shown: Transaction, *, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """Return the answer with a transaction, with the `ETag` for a change."""
    headers = {"Cache-Control": "private, no-cache"}  # A client may keep it, and asks by its ETag each time.
    if status is HTTPStatus.CREATED:
        headers["Location"] = f"/v1/transactions/{shown.id}"
    return json_answer(transaction_view(vars(shown)), status=status, headers=headers, etag=etag_of(shown))


def _id_of(text: str) -> UUID:
    return id_of("transaction", text, found="GET /v1/transactions")
