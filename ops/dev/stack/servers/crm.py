"""CRM for development: shows its contacts, and has faults on demand."""

import base64
import hashlib
import sys
from collections.abc import Mapping, Sequence

from ops.dev.stack.home import CHECKOUT
from ops.dev.stack.ports import answers
from ops.dev.stack.servers.base import Server


class Crm(Server):
    """The CRM double: HubSpot's API for contacts, and a receiver of webhooks."""

    name = "crm"

    def command(self) -> Sequence[str]:
        """Run the double; its contacts are in a file."""
        return [sys.executable, "-m", "ops.dev.crm_double", str(self.port()), str(self.folder / "contacts.sqlite")]

    def environment(self) -> Mapping[str, str]:
        """Return the environment with this checkout on the path, and what its clients know it by."""
        own = {"PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}
        return {**super().environment(), **own, **self.settings()}

    def is_ready(self) -> bool:
        """Return whether its port answers."""
        return answers(self.port())

    def settings(self) -> dict[str, str]:
        """Return the address, with the token of one adapter and the secret of the other."""
        digest = hashlib.sha256(self.state.secret("crm_webhook").encode()).digest()
        return {
            "CRM_ADAPTER": "hubspot",
            "CRM_URL": f"http://127.0.0.1:{self.port()}",
            "CRM_TOKEN": self.state.secret("crm_token"),
            "CRM_WEBHOOK_SECRET": f"whsec_{base64.b64encode(digest).decode()}",
        }
