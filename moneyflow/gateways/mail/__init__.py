"""The mail gateway: `Mailer` is its protocol; adapters are `smtp.SmtpMailer` and, for tests, `mailbox.Mailbox`.

Both adapters pass one conformance suite, `tests/integration/test_mailers.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

__all__ = ["Mailer", "Recipient", "Render", "Rendered"]


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


class Mailer(Protocol):
    """Renders and sends mails; safe to use from several threads."""

    def send(self, template: str, *, to: Recipient, values: Mapping[str, Any], job_id: UUID) -> None:
        """Send one mail. Its Message-ID is derived from the job's id, so that two sends of one job are recognised.

        Raises:
            UnavailableError: the server does not answer, or defers the mail (4xx); retry later.
            PermanentError: the server refuses the mail or its recipient (5xx), or its headers are invalid.
        """
        ...

    def close(self) -> None:
        """Close the connections; safe to repeat."""
        ...
