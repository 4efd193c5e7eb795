"""`/v1/users`: sign up and activate."""

from typing import Annotated

import falcon
from pydantic import AfterValidator, Field, SecretStr

from api.answers import accepted, send
from api.bodies import Body, parse, read_body
from api.requests import idempotent
from moneyflow.accounts import passwords, users
from moneyflow.accounts.names import person_name
from moneyflow.gateways.mail.addresses import LONGEST_ADDRESS, LONGEST_NAME, normalized_address
from moneyflow.platform.database import Database
from moneyflow.platform.http.answers import json_answer
from moneyflow.platform.http.idempotency import IdempotencyKeys


class SignUp(Body):
    """The body of a sign-up."""

    email: Annotated[str, Field(max_length=LONGEST_ADDRESS), AfterValidator(normalized_address)]
    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(person_name)]
    #: NIST SP 800-63B: at least 8 characters, long passphrases welcome, no rules of composition.
    password: Annotated[SecretStr, Field(min_length=8, max_length=256)]


class Token(Body):
    """The body with the token of an activation link."""

    token: Annotated[str, Field(min_length=1, max_length=200)]


class Users:
    """People."""

    def __init__(self, database: Database, keys: IdempotencyKeys) -> None:
        self._database = database
        self._keys = keys

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Sign up: 202, whether or not the address has an account; its owner learns by mail."""
        content = read_body(request)
        body = parse(content, SignUp)
        once = idempotent(request, self._keys, content)
        # Before the transaction: no connection is held while a password is hashed.
        password_hash = passwords.hash_password(body.password.get_secret_value())
        with self._database.transaction() as session:
            answer = once.first_answer(session)
            if answer is None:
                job_id = users.sign_up(session, email=body.email, name=body.name, password_hash=password_hash)
                answer = once.keep(session, accepted(job_id))
        send(request, response, answer)


class Activation:
    """The step from a mailed link to an active account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Activate the account that the token was mailed to."""
        body = parse(read_body(request), Token)
        with self._database.transaction() as session:
            activation = users.activate(session, body.token)
        shown = {"user_id": activation.user_id, "activated_at": activation.activated_at}
        send(request, response, json_answer(shown))
