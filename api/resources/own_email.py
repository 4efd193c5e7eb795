"""`/v1/users/me/email`: a new address for the caller's account, confirmed by a link that is mailed to it."""

from typing import Annotated

import falcon
from pydantic import Field, SecretStr

from api.answers import Accepted, accepted, send
from api.bodies import Body, parse, read_body
from api.descriptions import describes
from api.guards import caller_of, signed_in
from api.limits import LINKS, SIGN_INS, ClientLimits
from api.resources.me import ProfileView, profile_answer
from api.resources.users import Email, Token
from moneyflow.accounts.email_changes import EmailChanges
from moneyflow.platform.errors import BusyError, ConflictError, NotFoundError


class EmailChange(Body):
    """The body of a change of the address."""

    email: Email
    current_password: Annotated[SecretStr, Field(min_length=1, max_length=256, examples=["correct horse battery"])]


class OwnEmail:
    """The caller's address."""

    def __init__(self, changes: EmailChanges, limits: ClientLimits) -> None:
        self._changes = changes
        self._limits = limits

    @signed_in
    @describes(
        "change_email", body=EmailChange, answers={202: Accepted}, limited=True, errors=(NotFoundError, BusyError)
    )
    def on_put(self, request: falcon.Request, response: falcon.Response) -> None:
        """Mail a link to the new address: 202, whether or not it has an account; the address is changed by the link."""
        self._limits.check_network(request, response, LINKS)
        body = parse(read_body(request), EmailChange)
        caller = caller_of(request)
        # SECURITY: guesses of the current password count together with those at the change of the password.
        self._limits.check_address(SIGN_INS, str(caller.user_id))
        for limited in (str(caller.user_id), body.email):
            self._limits.check_address(LINKS, limited)
        job_id = self._changes.request(
            caller.user_id, email=body.email, current_password=body.current_password.get_secret_value()
        )
        send(request, response, accepted(job_id))


class OwnEmailConfirmation:
    """The step from the mailed link to the new address.

    SECURITY: for the signed-in owner of the change alone, so that a stranger who receives a link by mistake binds their
    address to no account of another person.
    """

    def __init__(self, changes: EmailChanges, limits: ClientLimits) -> None:
        self._changes = changes
        self._limits = limits

    @signed_in
    @describes(
        "confirm_email", body=Token, answers={200: ProfileView}, etag=True, limited=True, errors=(ConflictError,)
    )
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Change the address; return the profile. All other sessions of the user end."""
        self._limits.check_network(request, response, SIGN_INS)
        body = parse(read_body(request), Token)
        caller = caller_of(request)
        profile = self._changes.confirm(caller.user_id, session_id=caller.session.id, token=body.token)
        send(request, response, profile_answer(profile))
