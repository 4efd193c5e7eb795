"""Replies of a mail server: which of them is a hard bounce, and what every other one means for the mail.

A refused recipient is a bounce: nothing that an operator or a retry could mend. A refusal by policy (5.7.x), of the
sender, of a command or of the text is no bounce: the address may be good.
"""

import aiosmtplib

from moneyflow.gateways.mail import Bounce
from moneyflow.platform.errors import PermanentError, UnavailableError
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.telemetry.masking import masked_text

_PERMANENT = range(500, 600)
#: Replies to RCPT about the session or a command, and not about the recipient: unknown command, bad sequence, login.
_OF_THE_SESSION = frozenset({500, 502, 503, 504, 530, 534, 535, 538, 555})
#: An enhanced status code (RFC 3463), which begins the text of a reply.
_STATUS = Pattern(r"\A5\.\d{1,3}\.\d{1,3}(?!\S)", longest=100)
_POLICY = "5.7."
#: Of these a later mail may reach the same address: the mailbox is full, or the mail too large for it.
_FULL = frozenset({"5.2.2", "5.2.3", "5.3.4"})
_FULL_CODE = 552
#: Of a refused text, only these subjects are about the recipient: the address, and the mailbox.
_OF_THE_RECIPIENT = ("5.1.", "5.2.")
#: Characters of a reply that are kept.
_KEPT = 200

#: The reply that a server without SMTPUTF8 would give, by RFC 6531; none is asked for it.
NO_SMTPUTF8 = Bounce(
    code=553,
    status="5.6.7",
    reason="the mail server takes no address whose part before the @ is beyond ASCII (it has no SMTPUTF8)",
    is_lasting=False,
)


def bounce(error: aiosmtplib.SMTPException) -> Bounce | None:
    """Return the hard bounce that a reply is, or None."""
    code, text = _reply(error)
    status = found[0] if (found := _STATUS.search(text)) else None
    if code not in _PERMANENT or code in _OF_THE_SESSION or (status or "").startswith(_POLICY):
        return None
    is_of_the_recipient = (status or "").startswith(_OF_THE_RECIPIENT)
    if not isinstance(error, aiosmtplib.SMTPRecipientsRefused) and not (
        isinstance(error, aiosmtplib.SMTPDataError) and is_of_the_recipient
    ):
        return None
    is_full = status in _FULL or (status is None and code == _FULL_CODE)
    return Bounce(code=code, status=status, reason=_readable(text), is_lasting=not is_full)


def error_of(error: aiosmtplib.SMTPException) -> PermanentError | UnavailableError:
    """Return the error that says whether the same mail may be sent later.

    A refused sender is a fault of the configuration and not of the mail: it is retried.
    """
    code, text = _reply(error)
    reply = f"{code} {_readable(text)}" if code else _readable(text)
    is_of_the_configuration = isinstance(error, aiosmtplib.SMTPSenderRefused | aiosmtplib.SMTPAuthenticationError)
    if code in _PERMANENT and not is_of_the_configuration:
        return PermanentError(
            f"the mail server refused this mail, and not its recipient: {reply}; correct the mail, or what the server "
            "asks of its senders, and replay the job"
        )
    return UnavailableError(f"the mail server deferred this mail: {reply}; retry later")


def _reply(error: aiosmtplib.SMTPException) -> tuple[int, str]:
    """Return the code and the text of the reply; 0 and the error's text where there was none."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        refused = max(error.recipients, key=lambda recipient: recipient.code)
        return refused.code, refused.message
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code, error.message
    return 0, str(error)


def _readable(text: str) -> str:
    """Return the beginning of a server's text as one line, without addresses."""
    line = "".join(character if character.isprintable() else " " for character in text[:_KEPT])
    return masked_text(" ".join(line.split()))
