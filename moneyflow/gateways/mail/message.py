"""The MIME message of a mail, built in one way by every adapter, and the count of mails by outcome."""

from collections.abc import Iterator
from contextlib import contextmanager
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from uuid import UUID

from moneyflow.gateways.mail import Recipient, Rendered, metrics
from moneyflow.platform import clock
from moneyflow.platform.errors import PermanentError
from moneyflow.platform.ids import made_at
from moneyflow.platform.patterns import Pattern

#: Characters of an address (RFC 5321), and of the longest name that an account may have, many times over.
_LONGEST_ADDRESS, _LONGEST_NAME = 254, 2_000
_BEYOND_ASCII = Pattern(r"[^\x00-\x7f]", longest=_LONGEST_ADDRESS)


def build(rendered: Rendered, *, sender: Recipient, to: Recipient, job_id: UUID) -> EmailMessage:
    """Return the message with both texts.

    Raises:
        PermanentError: a header cannot be written, such as a name with a line break or an invalid address.
    """
    message = EmailMessage()  # SECURITY: it refuses a line break in any header, so no value can add a header.
    try:
        message["Subject"] = rendered.subject
        message["From"] = _address(sender)
        message["To"] = _address(to)
    except (ValueError, IndexError, MessageError) as error:
        raise PermanentError(f"the mail's headers cannot be written: {error}; correct the name or address") from error
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<{job_id}@{sender.address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
    return message


@contextmanager
def counted(template: str, *, job_id: UUID) -> Iterator[None]:
    """Count the mail that is sent in this block as sent, refused for good, or to be sent later.

    The age of its job, which a UUIDv7 holds, is how long its delivery took.
    """
    try:
        yield
    except PermanentError:
        metrics.emails.labels(template, "refused").inc()
        raise
    except Exception:
        metrics.emails.labels(template, "later").inc()
        raise
    metrics.emails.labels(template, "sent").inc()
    seconds = (clock.now() - made_at(job_id)).total_seconds()
    metrics.email_delivery_seconds.labels(template).observe(max(seconds, 0))


def _address(of: Recipient) -> Address:
    """Return a name with its address; `Address` itself parses no local part beyond ASCII, which RFC 6531 allows."""
    if len(of.address) > _LONGEST_ADDRESS or len(of.name) > _LONGEST_NAME:
        raise ValueError(f"an address has at most {_LONGEST_ADDRESS} characters, and a name {_LONGEST_NAME}")
    local, _, domain = of.address.rpartition("@")
    if local.isascii():
        return Address(of.name, addr_spec=of.address)
    Address(addr_spec=f"{_BEYOND_ASCII.sub('x', local)}@{domain}")  # Raises for an address that is otherwise invalid.
    return Address(of.name, username=local, domain=domain)
