"""The mailer that sends by SMTP."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from moneyflow.gateways.mail import Bounce, Mailer, Recipient, Render
from moneyflow.gateways.mail.connections import Connections
from moneyflow.gateways.mail.message import build
from moneyflow.gateways.mail.metrics import counted
from moneyflow.gateways.mail.settings import MailSettings


class SmtpMailer(Mailer):
    """A `Mailer` on one SMTP server, with as many connections as threads send at once."""

    def __init__(self, settings: MailSettings, render: Render) -> None:
        self._render = render
        self._sender = Recipient(name=settings.mail_from_name, address=settings.mail_from_address)
        self._connections = Connections(settings)

    def send(self, template: str, *, to: Recipient, values: Mapping[str, Any], job_id: UUID) -> Bounce | None:
        """Render the mail and send it."""

        def send() -> Bounce | None:
            mail = build(self._render(template, values), sender=self._sender, to=to, job_id=job_id)
            return self._connections.send(mail)

        return counted(template, send, job_id=job_id)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()
