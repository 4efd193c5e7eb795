"""`/v1/users`: sign up, activate, and ask for another activation mail."""

from typing import Annotated

import falcon
from pydantic import AfterValidator, Field, SecretStr

from api.answers import accepted, send
from api.bodies import Body, parse, read_body
from api.guards import public
from api.limits import LINKS, SIGN_UPS, ClientLimits
from api.requests import idempotent
from moneyflow.accounts import users
from moneyflow.accounts.names import person_name
from moneyflow.accounts.passwords import Passwords
from moneyflow.gateways.mail.addresses import LONGEST_ADDRESS, LONGEST_NAME, normalized_address
from moneyflow.platform.database import Database
from moneyflow.platform.http.answers import Answer, json_answer
from moneyflow.platform.http.idempotency import IdempotencyKeys, IdempotentRequest

Email = Annotated[str, Field(max_length=LONGEST_ADDRESS), AfterValidator(normalized_address)]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(person_name)]
#: NIST SP 800-63B: at least 8 characters, long passphrases welcome, no rules of composition.
NewPassword = Annotated[SecretStr, Field(min_length=8, max_length=256)]


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

    token: Annotated[str, Field(min_length=1, max_length=200)]


class Users:
    """People."""

    def __init__(self, database: Database, keys: IdempotencyKeys, passwords: Passwords, limits: ClientLimits) -> None:
        self._database = database
        self._keys = keys
        self._passwords = passwords
        self._limits = limits

    @public
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

    def __init__(self, database: Database) -> None:
        self._database = database

    @public
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Activate the account that the token was mailed to."""
        body = parse(read_body(request), Token)
        with self._database.transaction() as session:
            activation = users.activate(session, body.token)
        shown = {"user_id": activation.user_id, "activated_at": activation.activated_at}
        send(request, response, json_answer(shown))


class ActivationResend:
    """Another mail with an activation link."""

    def __init__(self, database: Database, limits: ClientLimits) -> None:
        self._database = database
        self._limits = limits

    @public
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Mail another link: 202, whether or not the address has an account that is not activated."""
        self._limits.check_network(request, response, LINKS)
        body = parse(read_body(request), Address)
        self._limits.check_address(LINKS, body.email)
        with self._database.transaction() as session:
            job_id = users.resend_activation(session, email=body.email)
        send(request, response, accepted(job_id))
