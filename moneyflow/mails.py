"""Mails: each is declared once, with its template, its priority and its link.

The mails that `send_email` sends are declared here; a job with a mail of its own declares it next to its contract in
`moneyflow/jobs/`. The template `mail_templates/<name>.jinja` has the same name.
"""

from dataclasses import dataclass

from moneyflow.platform.errors import UnknownVersionError
from moneyflow.platform.jobs.contract import PRIORITIES

#: The priority of a mail that a person is waiting for, and that of all others; 10 runs first.
URGENT, USUAL = 9, 5


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link with a single-use token: the frontend's path, what the token is for, and the hours that it is valid.

    Mails may share a purpose: a token of either is accepted where that purpose is redeemed.
    """

    path: str
    purpose: str
    hours: int


@dataclass(frozen=True)
class Mail:
    """A mail: the name of its template, its priority, and its link if it has one.

    With `once_in_hours` a user gets it once in that many hours at most, however often it is enqueued. With
    `is_of_email_change` it goes to an address of the change of e-mail that its job is of, and not to the account's.
    """

    name: str
    priority: int = USUAL
    link: Link | None = None
    once_in_hours: int | None = None
    is_of_email_change: bool = False


#: The declared mails by name; filled when `moneyflow.jobs` is imported.
registry: dict[str, Mail] = {}


def declare(mail: Mail) -> Mail:
    """Register a mail, and return it for its senders to use.

    Raises:
        TypeError: another mail has that name, or the priority is not 0 to 10.
    """
    if registry.get(mail.name, mail) != mail:
        raise TypeError(f"mail {mail.name!r} is declared already: {registry[mail.name]}; choose another name")
    if mail.priority not in PRIORITIES:
        raise TypeError(f"mail {mail.name!r}: priority is 0 to 10, not {mail.priority}")
    registry[mail.name] = mail
    return mail


def mail_named(name: str) -> Mail:
    """Return a declared mail.

    Raises:
        UnknownVersionError: this version of the code does not declare it; the job is parked until one does.
    """
    if name not in registry:
        raise UnknownVersionError(f"mail {name!r} is not declared in this version; deploy workers that declare it")
    return registry[name]


ACTIVATE = Link(path="/activate", purpose="activation", hours=48)
#: An invited person chooses a password where the link leads; then it activates as any other.
ACCEPT = Link(path="/invitation", purpose=ACTIVATE.purpose, hours=7 * 24)
RESET = Link(path="/reset-password", purpose="password_reset", hours=2)
CONFIRM_EMAIL = Link(path="/confirm-email", purpose="email_change", hours=24)

ACTIVATION = declare(Mail("activation", priority=URGENT, link=ACTIVATE))
INVITATION = declare(Mail("invitation", link=ACCEPT))
PASSWORD_RESET = declare(Mail("password_reset", priority=URGENT, link=RESET))
PASSWORD_CHANGED = declare(Mail("password_changed"))
EMAIL_CHANGE = declare(Mail("email_change", priority=URGENT, link=CONFIRM_EMAIL, is_of_email_change=True))
EMAIL_CHANGED = declare(Mail("email_changed", is_of_email_change=True))
#: SECURITY: the same priority as ACTIVATION, or the wait would reveal whether an address has an account.
ALREADY_REGISTERED = declare(Mail("already_registered", priority=ACTIVATION.priority, once_in_hours=24))
