"""The mailer of tests: it sends nothing and keeps every mail, or raises the error that the test sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from moneyflow.gateways.mail import Bounce, Mailer, Recipient, Render
from moneyflow.gateways.mail.message import BuiltMail, build
from moneyflow.gateways.mail.metrics import counted
from moneyflow.gateways.mail.settings import MailSettings

_USUAL = MailSettings()
_SENDER = Recipient(name=_USUAL.mail_from_name, address=_USUAL.mail_from_address)


@dataclass(frozen=True, kw_only=True)
class SentMail:
    """A mail that was sent: its texts, and the message as the SMTP adapter would send it."""

    template: str
    to: Recipient
    subject: str
    text: str
    html: str
    job_id: UUID
    message: BuiltMail


@dataclass(kw_only=True)
class Mailbox(Mailer):
    """A `Mailer` that keeps mails in `sent`; while `error` or `bounce` is set, it raises or returns that instead."""

    render: Render
    sender: Recipient = _SENDER
    error: Exception | None = None
    bounce: Bounce | None = None
    sent: list[SentMail] = field(default_factory=list)

    def send(self, template: str, *, to: Recipient, values: Mapping[str, Any], job_id: UUID) -> Bounce | None:
        """Render the mail and keep it; a mail that bounces is not kept."""

        def send() -> Bounce | None:
            rendered = self.render(template, values)
            message = build(rendered, sender=self.sender, to=to, job_id=job_id)
            if self.error is not None:
                raise self.error
            if self.bounce is not None:
                return self.bounce
            texts = {"subject": rendered.subject, "text": rendered.text, "html": rendered.html}
            self.sent.append(SentMail(template=template, to=to, job_id=job_id, message=message, **texts))
            return None

        return counted(template, send, job_id=job_id)

    def close(self) -> None:
        """Do nothing: there is no connection."""
