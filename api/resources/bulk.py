"""`/v1/transactions/bulk`: many transactions in one request, all or none of them."""

from typing import Annotated
from uuid import UUID

import falcon
from pydantic import Field
from typing_extensions import TypedDict

from api.answers import send
from api.bodies import Body, parse, read_body
from api.descriptions import describes
from api.fields import Id
from api.guards import caller_of, owner_scope, signed_in
from api.requests import idempotent
from api.resources.transactions import NewTransaction, made_of
from moneyflow.money import bulk
from moneyflow.money.bulk import MOST_ACTS, Acts, Move
from moneyflow.money.transactions import Transaction
from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.http.answers import json_answer
from moneyflow.platform.http.idempotency import IdempotencyKeys

#: Bytes of the largest body: each act may be as long as one with a note and tags usually is, and longer.
_MAX_BYTES = 1024 * 1024
_of_acts = Field(default=(), max_length=MOST_ACTS, strict=False)


class CategoryMove(Body):
    """A transaction and the category that it is put into; null for none."""

    id: Id
    category_id: Id | None


class Bulk(Body):
    """The body of many acts, 500 at most; each transaction is named once."""

    create: Annotated[tuple[NewTransaction, ...], _of_acts]
    change_category: Annotated[tuple[CategoryMove, ...], _of_acts]
    delete: Annotated[tuple[Id, ...], _of_acts]


class BulkView(TypedDict):
    """The ids of the transactions of each act, in the order of the request."""

    created: list[UUID]
    changed: list[UUID]
    deleted: list[UUID]


class TransactionsBulk:
    """Transactions that are added, put into other categories and deleted together."""

    def __init__(self, database: Database, keys: IdempotencyKeys) -> None:
        self._database = database
        self._keys = keys

    @signed_in
    @describes("change_transactions", body=Bulk, answers={200: BulkView}, idempotent=True, errors=(NotFoundError,))
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Add transactions, put others into other categories and delete others, up to 500 together: all or none.

        `errors` names each act that cannot be done by its pointer.
        """
        content = read_body(request, _MAX_BYTES)
        body = parse(content, Bulk)
        acts = _acts_of(body, caller_of(request).user_id)
        once = idempotent(request, self._keys, content)
        with self._database.transaction() as session:
            answer = once.first_answer(session)
            if answer is None:
                bulk.act(owner_scope(request, session), acts)
                answer = once.keep(session, json_answer(_shown(acts)))
        send(request, response, answer)


def _acts_of(body: Bulk, user_id: UUID) -> Acts:
    count = len(body.create) + len(body.change_category) + len(body.delete)
    if not 1 <= count <= MOST_ACTS:
        problem = f"must hold 1 to {MOST_ACTS} acts, not {count}"
        raise InvalidInputError(f"the body {problem}", (("", problem),))
    return Acts(
        create=_made(body.create, user_id),
        change_category=[Move(id=move.id, category_id=move.category_id) for move in body.change_category],
        delete=body.delete,
    )


def _made(bodies: tuple[NewTransaction, ...], user_id: UUID) -> list[Transaction]:
    """Return the transactions to add.

    Raises:
        InvalidInputError: amounts are none of their currencies; `errors` names each.
    """
    made, errors = [], []
    for number, body in enumerate(bodies):
        try:
            made.append(made_of(body, user_id))
        except InvalidInputError as error:
            errors += [(f"/create/{number}{pointer}", problem) for pointer, problem in error.errors]
    bulk.refuse(errors)
    return made


def _shown(acts: Acts) -> BulkView:
    return {
        "created": [one.id for one in acts.create],
        "changed": [move.id for move in acts.change_category],
        "deleted": list(acts.delete),
    }
