"""`/v1/users`: sign up, activate, and ask for another activation mail."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import falcon
from pydantic import AfterValidator, Field, SecretStr
from typing_extensions import TypedDict

from api.answers import Accepted, accepted, send
from api.bodies import Body, parse, read_body
from api.descriptions import describes
from api.guards import public
from api.limits import LINKS, SIGN_INS, SIGN_UPS, ClientLimits
from api.requests import idempotent
from moneyflow.accounts import users
from moneyflow.accounts.known_passwords import LONGEST, SHORTEST
from moneyflow.accounts.names import person_name
from moneyflow.accounts.passwords import Passwords
from moneyflow.gateways.mail.addresses import LONGEST_ADDRESS, LONGEST_NAME, normalized_address
from moneyflow.platform.database import Database
from moneyflow.platform.errors import BusyError
from moneyflow.platform.http.answers import Answer, json_answer
from moneyflow.platform.http.idempotency import IdempotencyKeys, IdempotentRequest

Email = Annotated[
    str,
    Field(
        max_length=LONGEST_ADDRESS,
        examples=["ada@mail.example"],
        json_schema_extra={"format": "email"},
    ),
    AfterValidator(normalized_address),
]
Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_NAME,
        description="One line of visible text that no mail program shows as a link.",
        examples=["Ada Lovelace"],
        json_schema_extra={"format": "person-name"},
    ),
    AfterValidator(person_name),
]
NewPassword = Annotated[SecretStr, Field(min_length=SHORTEST, max_length=LONGEST, examples=["correct horse battery"])]


class SignUp(Body):
    """The body of a sign-up."""

    email: Email
    name: Name
    password: NewPassword


class Address(Body):
    """The body with the address of an account."""

    email: Email


class Token(Body):
    """The body with the token of an activation link."""

    token: Annotated[str, Field(min_length=1, max_length=200, examples=["EFz3R6mVx0oJ8m8WcYH1v0jv3rWbqUu0E1xTqYw5q3I"])]


class ActivationView(TypedDict):
    """An active account."""

    user_id: UUID
    activated_at: datetime


class ActivationStep(Token):
    """The body of an activation; an invited person chooses a password and a name with it."""

    password: NewPassword | None = None
    name: Name | None = None


class Users:
    """People."""

    def __init__(self, database: Database, keys: IdempotencyKeys, passwords: Passwords, limits: ClientLimits) -> None:
        self._database = database
        self._keys = keys
        self._passwords = passwords
        self._limits = limits

    @public
    @describes("sign_up", body=SignUp, answers={202: Accepted}, idempotent=True, limited=True, errors=(BusyError,))
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Sign up: 202, whether or not the address has an account; its owner learns by mail."""
        self._limits.check_network(request, response, SIGN_UPS)
        content = read_body(request)
        body = parse(content, SignUp)
        once = idempotent(request, self._keys, content)
        known = self._known_answer(once)
        if known is not None:
            send(request, response, known)
            return
        self._limits.check_address(SIGN_UPS, body.email)
        # Before the transaction: no connection is held while a password is hashed.
        password_hash = self._passwords.hash(body.password.get_secret_value())
        with self._database.transaction() as session:
            answer = once.first_answer(session)
            if answer is None:
                job_id = users.sign_up(session, email=body.email, name=body.name, password_hash=password_hash)
                answer = once.keep(session, accepted(job_id))
        send(request, response, answer)

    def _known_answer(self, once: IdempotentRequest) -> Answer | None:
        """Return the answer to a repeated request. PERF: looked up before a password is hashed for nothing."""
        if once.key is None:
            return None
        with self._database.autocommit() as session:
            return once.known_answer(session)


class Activation:
    """The step from a mailed link to an active account."""

    def __init__(self, database: Database, passwords: Passwords, limits: ClientLimits) -> None:
        self._database = database
        self._passwords = passwords
        self._limits = limits

    @public
    @describes("activate", body=ActivationStep, answers={200: ActivationView}, limited=True, errors=(BusyError,))
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Activate the account that the token was mailed to; an invited person chooses a password and a name."""
        self._limits.check_network(request, response, SIGN_INS)
        body = parse(read_body(request), ActivationStep)
        # Before the transaction: no connection is held while a password is hashed.
        password_hash = self._passwords.hash(body.password.get_secret_value()) if body.password else None
        with self._database.transaction() as session:
            activation = users.activate(session, body.token, password_hash=password_hash, name=body.name)
        shown: ActivationView = {"user_id": activation.user_id, "activated_at": activation.activated_at}
        send(request, response, json_answer(shown))


class ActivationResend:
    """Another mail with an activation link."""

    def __init__(self, database: Database, limits: ClientLimits) -> None:
        self._database = database
        self._limits = limits

    @public
    @describes("resend_activation", body=Address, answers={202: Accepted}, limited=True)
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Mail another link: 202, whether or not the address has an account that is not activated."""
        self._limits.check_network(request, response, LINKS)
        body = parse(read_body(request), Address)
        self._limits.check_address(LINKS, body.email)
        with self._database.transaction() as session:
            job_id = users.resend_activation(session, email=body.email)
        send(request, response, accepted(job_id))
