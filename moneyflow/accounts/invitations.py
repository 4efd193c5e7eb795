"""Invitations in bulk: a batch of `create_user` jobs, one for each person; who is refused is listed with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from moneyflow.accounts.names import check_person
from moneyflow.accounts.new_accounts import make_account
from moneyflow.jobs.create_user import CreateUser
from moneyflow.jobs.send_email import SendEmail
from moneyflow.mails import INVITATION
from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.batches import Refusal
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

_HAS_ACCOUNT = "already has an account"


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person to invite, as the request has them."""

    email: str
    name: str


def invite(session: Session, people: Sequence[Person]) -> UUID:
    """Open a batch with a `create_user` job for each person and return its id; lines are counted from 1.

    People who are not valid, twice in the request, or have an account are refused, and the others invited.
    """
    invited, refusals = _checked(people)
    ids = [new_id() for _ in invited]
    rows = [{"id": str(id_), "line": line, **fields} for id_, (line, fields) in zip(ids, invited.items(), strict=True)]
    batch_id = batches.open(session, name="invitations")
    if rows:
        session.execute(_QUERIES["insert"], {"batch_id": batch_id, "people": orjson.dumps(rows).decode()})
        batches.add(session, batch_id, [CreateUser(invitation_id=id_) for id_ in ids])
    batches.refuse(session, batch_id, refusals)
    batches.seal(session, batch_id)
    return batch_id


def accept(session: Session, invitation_id: UUID) -> dict[str, Any]:
    """Make the account of an invitation, which is deleted, and enqueue its mail; return the result of the job."""
    invitation = session.fetch_one(_QUERIES["take"], {"id": invitation_id})
    if invitation is None:
        return {"created": False, "reason": "the invitation does not exist any more"}
    account = make_account(session, email=invitation["email"], name=invitation["name"], password_hash=None)
    if not account.is_new:
        refusal = Refusal(line=invitation["line"], reason=_HAS_ACCOUNT)
        batches.refuse(session, invitation["batch_id"], [refusal])
        return {"created": False, "reason": _HAS_ACCOUNT}
    enqueue(session, SendEmail(template=INVITATION.name, user_id=account.user_id))
    return {"created": True, "user_id": str(account.user_id)}


def _checked(people: Sequence[Person]) -> tuple[dict[int, dict[str, str]], list[Refusal]]:
    """Return the fields of the people to invite by line, and the refusals of the others."""
    invited: dict[int, dict[str, str]] = {}
    refusals, seen = [], dict[str, int]()
    for line, person in enumerate(people, start=1):
        try:
            email, name = check_person(email=person.email, name=person.name)
        except InvalidInputError as error:
            problems = "; ".join(f"{pointer[1:]} {problem}" for pointer, problem in error.errors)
            refusals.append(Refusal(line=line, reason=f"invalid: {problems}"))
            continue
        first = seen.setdefault(email.lower(), line)
        if first == line:
            invited[line] = {"email": email, "name": name}
        else:
            refusals.append(Refusal(line=line, reason=f"twice in the request: the address is in line {first} too"))
    return invited, refusals
