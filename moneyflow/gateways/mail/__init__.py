"""The mail gateway: `Mailer` is its protocol; adapters are `smtp.SmtpMailer` and, for tests, `mailbox.Mailbox`.

Both adapters pass one conformance suite, `tests/integration/test_mailers.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

__all__ = ["Bounce", "Mailer", "Recipient", "Render", "Rendered"]


class Rendered(Protocol):
    """The three texts of a mail, as `mail_templates.render` returns them."""

    @property
    def subject(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def html(self) -> str: ...


#: Renders a template with values.
Render = Callable[[str, Mapping[str, Any]], Rendered]


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """The person that a mail is sent to."""

    name: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Bounce:
    """A hard bounce: the mail server takes no mail for this address. It is the mail's result, and not an error.

    `code` and `status` are the reply's code and its enhanced status code, `reason` its text, with addresses masked. A
    `is_lasting` bounce is expected of the next mail too; of a full mailbox it is not.
    """

    code: int
    status: str | None
    reason: str
    is_lasting: bool = True


class Mailer(Protocol):
    """Renders and sends mails; safe to use from several threads."""

    def send(self, template: str, *, to: Recipient, values: Mapping[str, Any], job_id: UUID) -> Bounce | None:
        """Send one mail; return None when the server took it, or the bounce when its recipient was refused for good.

        Its Message-ID is derived from the job's id, so that two sends of one job are recognised.

        Raises:
            UnavailableError: the server does not answer, or defers the mail (4xx); retry later.
            PermanentError: the server refuses the mail, and not its recipient (5xx), or its headers are invalid.
        """
        ...

    def close(self) -> None:
        """Close the connections; safe to repeat."""
        ...
