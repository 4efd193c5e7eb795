"""The mailers of the conformance suite: for each adapter, how it is made to refuse, and the mails that were sent."""

import email.policy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser

from moneyflow.gateways.mail import Bounce, Mailer, Recipient, Render
from moneyflow.gateways.mail.mailbox import Mailbox, SentMail
from moneyflow.gateways.mail.settings import MailSettings
from moneyflow.gateways.mail.smtp import SmtpMailer
from moneyflow.platform.errors import PermanentError, UnavailableError
from moneyflow.settings import load
from tests.support.smtp import Caught, Mailhost, mailhost

SENDER = Recipient(name="Money Flow", address="no-reply@money-flow.example")


@dataclass(frozen=True)
class Outlet:
    """One adapter under test.

    `make` makes a mailer; `sent` returns the mails that were sent. `bounce`, `refuse` and `defer` make the recipient of
    the next mail be refused for good, the mail itself be refused for good, or be deferred.
    """

    make: Callable[[Render, Recipient], Mailer]
    sent: Callable[[], list[Caught]]
    bounce: Callable[[], None]
    refuse: Callable[[], None]
    defer: Callable[[], None]


@contextmanager
def smtp_outlet() -> Iterator[Outlet]:
    """Run a real SMTP server, and the adapter that sends to it."""
    made: list[Mailer] = []
    with mailhost() as host:

        def make(render: Render, sender: Recipient) -> Mailer:
            made.append(SmtpMailer(_settings(host, sender), render))
            return made[-1]

        yield Outlet(
            make=make,
            sent=lambda: list(host.caught),
            bounce=lambda: host.refuse_recipient.append("550 5.1.1 <zoe@example.com>: no such mailbox"),
            refuse=lambda: host.refuse_data.append("554 5.6.0 we take no such mail"),
            defer=lambda: host.refuse_recipient.append("451 busy, come back"),
        )
        for mailer in made:
            mailer.close()


def _settings(host: Mailhost, sender: Recipient) -> MailSettings:
    where = {"MAIL_HOST": "127.0.0.1", "MAIL_PORT": str(host.port)}
    return load(MailSettings, where | {"MAIL_FROM_NAME": sender.name, "MAIL_FROM_ADDRESS": sender.address})


@dataclass
class _RefusingOnce(Mailbox):
    """A mailbox whose error or bounce is that of one mail."""

    refusals: list[Exception | Bounce] = field(default_factory=list)

    def send(self, template: str, **mail: object) -> Bounce | None:
        refusal = self.refusals.pop(0) if self.refusals else None
        self.error = refusal if isinstance(refusal, Exception) else None
        self.bounce = refusal if isinstance(refusal, Bounce) else None
        return super().send(template, **mail)  # type: ignore[arg-type]


@contextmanager
def mailbox_outlet() -> Iterator[Outlet]:
    """Make the mailer of tests."""
    made: list[_RefusingOnce] = []
    refusals: list[Exception | Bounce] = []

    def make(render: Render, sender: Recipient) -> Mailer:
        made.append(_RefusingOnce(render=render, sender=sender, refusals=refusals))
        return made[-1]

    yield Outlet(
        make=make,
        sent=lambda: [_caught(mail) for mailbox in made for mail in mailbox.sent],
        bounce=lambda: refusals.append(
            Bounce(code=550, status="5.1.1", reason="5.1.1 <***@example.com>: no such mailbox")
        ),
        refuse=lambda: refusals.append(PermanentError("554 5.6.0 we take no such mail")),
        defer=lambda: refusals.append(UnavailableError("451 busy, come back")),
    )


def _caught(mail: SentMail) -> Caught:
    """Return the mail as a server would have received it."""
    sent = mail.message
    message = BytesParser(_class=EmailMessage, policy=email.policy.SMTPUTF8).parsebytes(sent.content)
    return Caught(sent.sender.on_the_wire, [sent.recipient.on_the_wire], message, sent.content)
