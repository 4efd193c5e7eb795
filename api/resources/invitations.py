"""`/v1/users/batch`: administrators invite people in bulk."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import falcon
from pydantic import Field
from typing_extensions import TypedDict

from api.answers import send
from api.bodies import Body, parse, read_body
from api.descriptions import describes
from api.guards import administrators
from api.paths import batch_url
from api.requests import idempotent
from moneyflow.accounts import invitations
from moneyflow.accounts.invitations import Person
from moneyflow.platform.database import Database
from moneyflow.platform.http.answers import json_answer
from moneyflow.platform.http.idempotency import IdempotencyKeys

#: People of one request at most.
MOST_PEOPLE = 1000
#: Bytes of the largest body: a thousand people, each with the longest address and name.
_MAX_BYTES = 1024 * 1024


class InvitedPerson(Body):
    """A person to invite. What is in the fields is checked person by person: a line that is refused stops no other."""

    email: Annotated[str, Field(max_length=1000, examples=["bob@mail.example"])]
    name: Annotated[str, Field(max_length=1000, examples=["Bob Barker"])]


class Invitations(Body):
    """The body of a request that invites people."""

    users: Annotated[tuple[InvitedPerson, ...], Field(min_length=1, max_length=MOST_PEOPLE, strict=False)]


class AcceptedBatch(TypedDict):
    """A batch that will do the work; `GET /v1/batches/{batch_id}` shows how far it is."""

    batch_id: UUID


class UsersBatch:
    """People who are invited together."""

    def __init__(self, database: Database, keys: IdempotencyKeys) -> None:
        self._database = database
        self._keys = keys

    @administrators
    @describes("invite_users", body=Invitations, answers={202: AcceptedBatch}, idempotent=True)
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Invite people: 202 with the batch, which shows the progress and who was refused."""
        content = read_body(request, _MAX_BYTES)
        body = parse(content, Invitations)
        people = [Person(email=one.email, name=one.name) for one in body.users]
        once = idempotent(request, self._keys, content)
        with self._database.transaction() as session:
            answer = once.first_answer(session)
            if answer is None:
                batch_id = invitations.invite(session, people)
                headers = {"Location": batch_url(batch_id)}
                shown: AcceptedBatch = {"batch_id": batch_id}
                answer = once.keep(session, json_answer(shown, status=HTTPStatus.ACCEPTED, headers=headers))
        send(request, response, answer)
