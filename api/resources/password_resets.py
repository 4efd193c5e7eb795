"""`/v1/password-resets`: a new password by a link in a mail."""

import falcon

from api.answers import Accepted, accepted, send
from api.bodies import parse, read_body
from api.descriptions import describes
from api.guards import public
from api.limits import LINKS, SIGN_INS, ClientLimits
from api.resources.users import Address, NewPassword, Token
from moneyflow.accounts.password_changes import PasswordChanges
from moneyflow.platform.database import Database
from moneyflow.platform.errors import BusyError, ConflictError
from moneyflow.platform.http.answers import Answer


class NewPasswordByToken(Token):
    """The body with the token of the mail and the new password."""

    password: NewPassword


class PasswordResets:
    """Requests for a link."""

    def __init__(self, database: Database, changes: PasswordChanges, limits: ClientLimits) -> None:
        self._database = database
        self._changes = changes
        self._limits = limits

    @public
    @describes("request_password_reset", body=Address, answers={202: Accepted}, limited=True)
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Mail a link: 202, whether or not the address has an account."""
        self._limits.check_network(request, response, LINKS)
        body = parse(read_body(request), Address)
        self._limits.check_address(LINKS, body.email)
        with self._database.transaction() as session:
            job_id = self._changes.request_reset(session, email=body.email)
        send(request, response, accepted(job_id))


class PasswordResetConfirmation:
    """The step from the mailed link to the new password."""

    def __init__(self, changes: PasswordChanges, limits: ClientLimits) -> None:
        self._changes = changes
        self._limits = limits

    @public
    @describes(
        "reset_password", body=NewPasswordByToken, answers={204: None}, limited=True, errors=(ConflictError, BusyError)
    )
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Set the new password: 204, and all sessions of the user end."""
        self._limits.check_network(request, response, SIGN_INS)
        body = parse(read_body(request), NewPasswordByToken)
        self._changes.reset(token=body.token, new=body.password.get_secret_value())
        send(request, response, Answer(status=204))
