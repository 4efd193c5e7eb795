"""The MIME message of a mail, built in one way by every adapter, and read once more before it is sent."""

import quopri
import secrets
from dataclasses import dataclass
from email.utils import format_datetime
from uuid import UUID

from moneyflow.gateways.mail import Recipient, Rendered
from moneyflow.gateways.mail.addresses import MailAddress, check_line, check_name, mail_address
from moneyflow.gateways.mail.headers import address_header, text_header
from moneyflow.gateways.mail.reading import check_message
from moneyflow.platform import clock
from moneyflow.platform.errors import PermanentError


@dataclass(frozen=True, kw_only=True)
class BuiltMail:
    """A mail as it is sent: the envelope, and the content with CRLF line ends, in ASCII unless SMTPUTF8 is needed."""

    sender: MailAddress
    recipient: MailAddress
    content: bytes

    @property
    def needs_smtputf8(self) -> bool:
        """Return whether only a server with SMTPUTF8 can take the mail."""
        return self.sender.needs_smtputf8 or self.recipient.needs_smtputf8


def build(rendered: Rendered, *, sender: Recipient, to: Recipient, job_id: UUID) -> BuiltMail:
    """Return the message with both texts.

    Raises:
        PermanentError: a header cannot be written, such as a name with a line break or an invalid address, or a text
            cannot be encoded.
    """
    try:
        check_line(rendered.subject)
        check_name(sender.name)
        check_name(to.name)
        from_, recipient = mail_address(sender.address), mail_address(to.address)
    except ValueError as error:
        raise PermanentError(
            f"the mail's headers cannot be written: the subject, a name or an address {error}; correct it"
        ) from error
    headers = [
        text_header("Subject", rendered.subject),
        address_header("From", display_name=sender.name, address=from_.on_the_wire),
        address_header("To", display_name=to.name, address=recipient.on_the_wire),
        text_header("Date", format_datetime(clock.now())),
        f"Message-ID: <{job_id}@{from_.ascii_domain}>\r\n".encode(),
        b"Auto-Submitted: auto-generated\r\n",
    ]
    texts = {"plain": _encoded(rendered.text), "html": _encoded(rendered.html)}
    content = b"".join(headers) + _body(texts)
    check_message(content, sender=from_.on_the_wire, recipient=recipient.on_the_wire, texts=texts)
    return BuiltMail(sender=from_, recipient=recipient, content=content)


def _encoded(text: str) -> bytes:
    try:
        return text.replace("\r\n", "\n").replace("\r", "\n").encode()
    except UnicodeEncodeError as error:
        raise PermanentError(f"the mail's text cannot be encoded: {error.reason}; correct its values") from error


def _body(texts: dict[str, bytes]) -> bytes:
    """Return the headers of a body with alternatives, and the body; the last alternative is the best."""
    boundary = f"=_{secrets.token_hex(16)}"  # No line of quoted-printable has `=_`.
    parts = [
        f'--{boundary}\r\nContent-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n".encode()
        + quopri.encodestring(text).replace(b"\n", b"\r\n")
        + b"\r\n"
        for subtype, text in texts.items()
    ]
    head = f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
    return head.encode() + b"".join(parts) + f"--{boundary}--\r\n".encode()
