"""Writing: a statement that changes a row and inserts the event of the change."""

from collections.abc import Mapping
from typing import Any, LiteralString

from moneyflow.money.constraints import checked
from moneyflow.platform.database import Session
from moneyflow.platform.errors import PreconditionFailedError
from moneyflow.platform.events.contract import Event
from moneyflow.platform.events.emit import announce, emit_with, outbox_row
from moneyflow.platform.http.answers import Answer
from moneyflow.platform.http.idempotency import IdempotentRequest


def create(
    session: Session,
    query: LiteralString,
    parameters: Mapping[str, Any],
    event: Event,
    *,
    once: IdempotentRequest,
    answer: Answer,
) -> Answer:
    """Insert a row with its event and the answer to the request, in one statement; return the first answer.

    Raises:
        InvalidInputError: what it refers to is none of this user and kind; or the key was used with another body.
        InProgressError: another request with this key is running.
        NotFoundError: the account was deleted.
    """
    row = outbox_row(event)
    with checked():
        earlier = once.run(session, query, {**parameters, **row.parameters()}, answer=answer)
    if earlier is not None:
        return earlier
    announce(session, [row])
    return answer


def change(session: Session, query: LiteralString, parameters: Mapping[str, Any], event: Event) -> None:
    """Change a row with the event, in one statement that finds the row only where it is as it was read.

    Raises:
        PreconditionFailedError: it was changed or deleted meanwhile; nothing was written.
        InvalidInputError: what it refers to is none of this user and kind.
    """
    with checked():
        is_found = emit_with(session, query, parameters, event)
    if not is_found:
        raise PreconditionFailedError("it was changed or deleted meanwhile; read it again and repeat your change")
