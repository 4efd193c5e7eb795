"""`/v1/users`: sign up and activate."""

import unicodedata
from http import HTTPStatus
from typing import Annotated

import falcon
import orjson
from pydantic import AfterValidator, EmailStr, Field, SecretStr

from api.bodies import Body, parse, read_body
from moneyflow.accounts import passwords, users
from moneyflow.platform.clock import rfc3339
from moneyflow.platform.database import Database
from moneyflow.platform.http import idempotency
from moneyflow.platform.http.idempotency import Answer


def _plain_line(text: str) -> str:
    """Refuse what could break a mail's header or a line of a log, and a name of nothing but spaces."""
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ValueError("may hold no control characters and no line breaks")
    if not text.strip():
        raise ValueError("may not be empty")
    return text.strip()


class SignUp(Body):
    """Who signs up."""

    email: Annotated[EmailStr, Field(max_length=254)]
    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_plain_line)]
    #: NIST SP 800-63B: at least 8 characters, long passphrases welcome, no rules of composition.
    password: Annotated[SecretStr, Field(min_length=8, max_length=256)]


class Token(Body):
    """The token of an activation link."""

    token: Annotated[str, Field(min_length=1, max_length=200)]


class Users:
    """People."""

    def __init__(self, database: Database, *, secret_key: str) -> None:
        self._database = database
        self._secret_key = secret_key

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Sign up: 202, whether or not the address has an account; its owner learns by mail."""
        content = read_body(request)
        body = parse(content, SignUp)
        # Before the transaction: no connection is held while a password is hashed.
        password_hash = passwords.hash_password(body.password.get_secret_value())
        with self._database.transaction() as session:

            def sign_up() -> Answer:
                job_id = users.sign_up(session, email=body.email, name=body.name, password_hash=password_hash)
                return Answer(
                    status=HTTPStatus.ACCEPTED,
                    headers={"Location": f"/v1/jobs/{job_id}"},
                    body=orjson.dumps({"job_id": str(job_id)}),
                )

            answer = idempotency.once(
                session,
                key=request.get_header("Idempotency-Key"),
                scope="POST /v1/users",
                content=content,
                secret_key=self._secret_key,
                act=sign_up,
            )
        _send(response, answer)


class Activation:
    """The step from a mailed link to an account in use."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Activate the account that the token was mailed to."""
        body = parse(read_body(request), Token)
        with self._database.transaction() as session:
            activation = users.activate(session, body.token)
        response.data = orjson.dumps(
            {"user_id": str(activation.user_id), "activated_at": rfc3339(activation.activated_at)}
        )


def _send(response: falcon.Response, answer: Answer) -> None:
    response.status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    for name, value in answer.headers.items():
        response.set_header(name, value)
    response.data = answer.body
