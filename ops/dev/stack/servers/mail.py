"""Mail catcher: accepts every mail and shows it."""

import sys
from collections.abc import Mapping, Sequence

from ops.dev.stack.home import CHECKOUT
from ops.dev.stack.ports import answers
from ops.dev.stack.servers.base import Server


class Mail(Server):
    """An SMTP server that keeps its mails and sends none."""

    name = "mail"
    ports = ("", "web")

    def command(self) -> Sequence[str]:
        """Run the stack's own catcher, which has Mailpit's API."""
        return [sys.executable, "-m", "ops.dev.stack.mail_catcher", str(self.port()), str(self.port("web"))]

    def environment(self) -> Mapping[str, str]:
        """Return the environment with this checkout on the path."""
        return {**super().environment(), "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}

    def is_ready(self) -> bool:
        """Return whether both ports answer."""
        return answers(self.port()) and answers(self.port("web"))

    def settings(self) -> dict[str, str]:
        """Return both addresses."""
        return {
            "MAIL_MAILER": "smtp",
            "MAIL_HOST": "127.0.0.1",
            "MAIL_PORT": str(self.port()),
            "MAIL_CATCHER_URL": f"http://127.0.0.1:{self.port('web')}",
        }
